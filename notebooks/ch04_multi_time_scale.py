# %% [markdown]
# (ch-multi-time-scale)=
# # Does it help to look at speech at several speeds?
#
# {glue:md}`answer`
#
# *Multi-time-scale convolution, chapter 4 of {cite:t}`guizzo2023thesis`. Quick: about a minute on the embedded synthetic corpus. Full: hours,
# on EmoDB and FSDD (end of the page).*
#
# The same emotion may be spoken fast or slowly. A convolution that has learned a pattern at one speed does not see it at another. A
# *multi-time-scale* layer holds one kernel, stretches and shortens it along time, convolves with every version and keeps, at each point, the
# largest answer: no weight more than the plain layer. The thesis reports gains for nearly all of its networks and corpora.

# %% tags=["parameters"]
corpora = "synthetic"   # names, separated by commas: synthetic, emodb, fsdd, ravdess, tess
corpora_root = ""       # folder that holds them (emodb/, fsdd/); empty: SERCORE_CORPORA
profile = "quick"       # quick | full
protocol = "strict"     # strict | paper
systems = ""            # a1, mts_a1 ... a4, mts_a4, resnet18, mts_resnet18, separated by commas, or all; empty: a1 and mts_a1
scale_sets = ""         # time factors, e.g. "0.5 1 2, 0.8 1 1.25", or all; empty: 0.7 1 1.428
variant = "definition"  # definition | released
folds = 0               # folds to run; 0: those of the profile (quick 2, full all)
seeds = 0               # runs a fold, each with its own seed; 0: those of the profile (quick 1, full 5)
epochs = 0              # at most; 0: those of the profile (quick 6, full 15); the thesis: 500
scheduler = ""          # empty: this process; local: one worker a core; local:N; tcp://host:port: a Dask cluster

# %% [markdown]
# ## Question
# With equal search budgets and speakers kept apart, is the accuracy of a network with multi-time-scale layers above that of the same network
# with plain ones?
#
# **It would count as "no"** if the 95 % interval of the difference, paired over speakers, contains zero.
#
# ## Method
# **Spectrograms.** Magnitudes of windows of 20 ms every 10 ms; silence is added to the length of the corpus' longest recording, and one mean
# and one deviation, measured on the *training* speakers, are taken off all bins.
#
# **The layer.** A kernel $w$ of $k$ frames is resampled linearly to $\lfloor k s\rfloor$ frames for each factor $s$ of a set $S$ that holds
# 1; with $x$ the spectrogram,
#
# $$y = \max_{s\in S}\,(w_s * x + b).$$
#
# The gradient of every branch flows back through the resampling into the one kernel, and the branches are centred on the same point of the
# input. In the code: {class}`sercore.layers.multi_time_scale.MultiTimeScaleConv2d`; the networks are {mod}`sercore.models.mts_cnn`.
#
# **Networks.** A1 and A2: one convolution of 1 and of 10 channels, kernel 10 frames x 5 bins, and two full layers (200 and the classes). A3:
# two convolutions of 10 channels with pooling between. A4: AlexNet. ResNet-18. Each with plain and with multi-time-scale convolutions.
#
# **Training.** Cross-entropy, Adam, patience of 10 epochs on the validation loss. The weight of L2 regularisation is searched over the four
# values of the released code, on validation speakers, for each network and set of scales alike: the thesis chose the best of twelve
# combinations for its layer and the best of four for the plain one.

# %%
from IPython.display import Markdown, display
from myst_nb import glue

from sercore import grids, multi_time_scale_grid, results
from sercore.pages import multi_time_scale as page
from sercore.pages import overview, resources, tables
from sercore.plots import multi_time_scale as figures
from sercore.plots import resources as costs

display(page.buildable_table())

# %% [markdown]
# Some sets leave a kernel no frame: they cannot be built, and the table says where.
#
# ## Run

# %%
names = [name.strip() for name in corpora.split(",") if name.strip()]
roots = {name: corpora_root for name in names if corpora_root and name != "synthetic"}
chosen = [name.strip() for name in systems.split(",") if name.strip()]
sets = multi_time_scale_grid.scale_set(scale_sets)
sweep, live = grids.run_chapter(
    "ch04_multi_time_scale", names, profile, [protocol], roots, scheduler,
    systems=chosen, scale_sets=sets, variant=variant, folds=folds, seeds=seeds, epochs=epochs,
)
shown = overview.sources("ch04_multi_time_scale", live)
glue("answer", Markdown("**" + page.answer(shown) + "**"), display=False)
display(Markdown(f"{sweep.summary()}. {overview.not_comparable(shown)}"), tables.failed(sweep))

# %%
display(tables.runs("ch04_multi_time_scale", shown))
display(Markdown(tables.provenance(shown)))

# %% [markdown]
# ## With and without
# Each network with multi-time-scale layers against the same network with plain ones, on the same speakers.

# %%
display(page.pairs(shown))
display(figures.gain_by_size(shown))

# %% [markdown]
# ## Published and ours
# Tables 4.1 (emotion) and 4.4 (words) of the thesis. The printed values are means over folds by position in a list of files, one run each,
# after up to 500 epochs. Ours are tested on other folds (everybody once) and end after 15 epochs, so the strict values stand beside the
# printed ones and are not judged by them; under the thesis' own folds (`protocol="paper"`) so short a schedule could show a direction at most.

# %%
stored = results.load_results("ch04_multi_time_scale")
display(tables.published(stored, source="thesis", locator="Table 4.1"))
display(tables.published(stored, source="thesis", locator="Table 4.4"))

# %% [markdown]
# ## Inside the layer
# One recording in the first layer: what each branch answers, and which of them is the largest. Then the kernel, as it was drawn and as it was
# learned, in its lengths.

# %%
inside = page.inside(shown, roots)
display(figures.branches(inside))
display(figures.kernels(inside))

# %% [markdown]
# ## Does the use of a branch show that scales are matched?
# The thesis counts how many points of the map each branch wins, and reads from two well-used branches that the layer matches patterns at
# several speeds. The control is a network that has learned nothing: random kernels on the same recordings. And most points of a padded input
# are silence, where kernels of all lengths answer alike but for the edges, so the shares are also counted without the padding.

# %%
display(figures.usage(page.usage_seen(shown, roots)))

# %% [markdown]
# ## What the layer is for: speech at another tempo
# The thesis never changed the tempo of a test recording. Here the finished networks hear their test recordings slower and faster. On the
# synthetic corpus an utterance is spoken anew with the tempo alone changed, so what else moves is the network's own doing.

# %%
heard = page.tempo_seen(shown, roots)
display(figures.accuracy_by_tempo(heard))
display(figures.tempo_invariance(heard))

# %% [markdown]
# ## What it costs

# %%
display(page.epochs_table(shown))
display(resources.table(shown))
display(costs.score_against_resources(shown))

# %% [markdown]
# ## Verdict

# %%
display(tables.searches("ch04_multi_time_scale"))
display(Markdown("**Verdict.** " + page.answer(shown)))

# %% [markdown]
# ## What the thesis and its program do otherwise
# `variant="released"` switches what a layer computes, `protocol="paper"` what is done with the data.
#
# - **gradient**: in the released layer the stretched kernels are copies; the kernel learns from the points that the unscaled branch wins, a
#   few in a hundred. *Here:* through every branch; `released` has theirs.
# - **averaging**: text: the kernel and its scaled versions are averaged after each update. Code: once an epoch, of copies, so the kernel is
#   only smoothed. *Here:* one kernel, nothing to average; `released` smooths.
# - **bias**: the optimiser moves it once a branch. *Here:* once; `released` has theirs.
# - **alignment**: maps of unlike length are stretched to one, so the branches look at points up to half the difference apart. *Here:*
#   centred; `released` stretches.
# - **windows**: text: 20 ms every 10 ms. Code: 64 ms every 32 ms and magnitudes to the power of 2/3. *Here:* the text's; `released` has the
#   code's.
# - **A4**: in the released multi-time-scale version the first layer has stride 1 instead of 4. *Here:* 4 in both; `released` has 1.
# - **ResNet-18**: the inner blocks of the released version take (0.7, 1.428) whatever is asked for. *Here:* the set that is asked for;
#   `released` has theirs.
# - **folds**: by position in a list; seven actors of RAVDESS are ever tested. *Here:* everybody is tested once; `paper` has theirs.
# - **selection**: best of twelve against best of four. *Here:* equal budgets.
#
# ## Limits, and the full run
# - Fifteen epochs, not five hundred; ten speakers of EmoDB and six of FSDD, acted and read speech. FSDD stands at its 8 kHz.
# - A2 to A4, ResNet-18, RAVDESS, TESS, Speech Commands and the other ten sets can be run by the same command and are *not run*; IEMOCAP needs
#   its segments pooled and the pictures of Table 4.5 an input that is not sound: both are not part of this grid.
# - A recording made faster or slower by a phase vocoder is not a person who speaks faster or slower.
#
# The full run takes by estimate three hours of one core and 7 GB of disk:
#
# ```
# make full CHAPTER=ch04_multi_time_scale CORPORA=<folder>
# SERCORE_CORPORA=<folder> sercore publish ch04_multi_time_scale
# ```
#
# Everything else, with its cost said beforehand: `sercore sweep ch04_multi_time_scale --profile full --systems all --dry-run`.
