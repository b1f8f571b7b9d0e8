# %% [markdown]
# (ch-anti-transfer-inside)=
# # What do features know that are kept apart?
#
# *Anti-transfer learning, chapter 5 of {cite:t}`guizzo2023thesis`: its figure 5.5, and what it does not look at. Quick: about half a minute on
# the embedded synthetic corpus.*
#
# Accuracy does not say whether anti-transfer does what it is for: to make features that know less of the speaker. That can be asked of the
# features themselves. And pictures of where a network looks can be tested before they are believed.

# %% tags=["parameters"]
corpora = "synthetic"   # targets, separated by commas: synthetic, emodb, ravdess
corpora_root = ""       # folder that holds them and the corpora of the tasks; empty: SERCORE_CORPORA
profile = "quick"       # quick | full
task = ""               # one orthogonal task, e.g. speaker_ravdess; empty: speakers of another corpus
size = ""               # small, reduced, whole; empty: that of the profile
epochs = 0              # at most; 0: those of the profile (quick 6, full 50)
scheduler = ""          # empty: this process; local: one worker a core; local:N; tcp://host:port: a Dask cluster

# %% [markdown]
# ## Question
# Can the speaker be read less well out of the features of a network that was kept unlike one that tells speakers apart, and the emotion no
# worse?
#
# **It would count as "no"** if the read-out of the speaker is as good as without anti-transfer, or as bad after the control.
#
# The networks are those of fold 0 and seed 0, fixed beforehand; the recordings are of speakers from whom none of them has learned.

# %%
from IPython.display import Markdown, display

from sercore import grids
from sercore.pages import overview, tables
from sercore.plots import anti_transfer_inside as inside

names = [name.strip() for name in corpora.split(",") if name.strip()]
roots = {name: corpora_root for name in (*names, "ravdess", "fsdd") if corpora_root and name != "synthetic"}
sweep, live = grids.run_chapter(
    "ch05_anti_transfer", names, profile, ["strict"], roots, scheduler, methods=["none", "wi", "at", "at_random"],
    folds=1, seeds=1, systems=["vgg16_pool"], tasks=[task] if task else [], size=size, epochs=epochs,
)
shown = overview.sources("ch05_anti_transfer", live)
networks = inside.seen(shown, roots)
display(tables.failed(sweep))

# %% [markdown]
# ## What can be read out
# A linear read-out {cite:p}`alain2017` learns a factor from features and is tested on other groups: speakers on texts that it has not heard, texts and emotions on
# other speakers. Beside it stand permuted labels (chance), the input itself, and the network before it learned anything: only what differs
# from these was learned. Once from means and deviations of the channels, once from Gram matrices, which is what the loss sees.

# %%
display(inside.read_outs(shown, networks))

# %% [markdown]
# ## Is the loss blind to the order of channels?
# Two networks may have the same features under other numbers. The thesis says that comparing all pairs of channels limits the effect of such
# renumbering. A network whose channels are renumbered, and the next layer with them, answers as before; the loss changes all the same, for the
# network and itself from 1 to far below. Only the eigenvalues of the Gram matrix stay. So the loss asks for *other numbers* as much as
# for *other features*.

# %%
display(inside.renumbered(networks))

# %% [markdown]
# ## Where networks look
# Grad-CAM at the last convolution {cite:p}`selvaraju2020`: which places of the map raise the score of the class that the network answers. One recording, the first of
# the unseen ones by name.

# %%
display(inside.grad_cam(networks))

# %% [markdown]
# ## Can the pictures be believed?
# First check {cite:p}`adebayo2018`: layers are drawn anew from the classifier down. A map that stays as it was shows the recording and the architecture, not what was
# learned. Smooth maps of few cells correlate by chance; the mean without its sign says how much.

# %%
display(inside.sanity(networks))

# %% [markdown]
# Second check {cite:p}`petsiuk2018`: the cells of the recording are taken away, most important first, or given one by one to an empty one. The control is the same
# map with its cells shuffled.

# %%
display(inside.deleted(networks))
display(inside.areas_table(networks))

# %% [markdown]
# ## Verdict
# The thesis reads from one recording's picture that anti-transfer turns a network away from the noise. Whether a map means anything is
# measured above, recording by recording.

# %%
display(Markdown("**Verdict.** " + inside.answer(shown)))

# %% [markdown]
# ## Limits, and the full run
# - A linear read-out finds what lies open; a factor that it does not find may still be there.
# - Networks of one fold and one seed; four speakers that none of them has heard.
# - The quick run says nothing about speech. On real recordings:
#
# ```
# papermill notebooks/ch05_inside.py out.ipynb -p profile full -p corpora emodb -p corpora_root <folder>
# ```
