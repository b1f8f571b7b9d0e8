# %% [markdown]
# (ch-anti-transfer)=
# # Does it help to be unlike a network that does something else?
#
# {glue:md}`answer`
#
# *Anti-transfer learning, chapter 5 of {cite:t}`guizzo2023thesis`. Quick: about a minute on the embedded synthetic corpus. Full: about three
# hours of one core on EmoDB (end of the page).*
#
# A network that has learned who speaks has features of the voice. Transfer learning would start from them. *Anti-transfer* does the opposite:
# while a second network learns emotions, its features at one layer are kept *unlike* those of the first, so that it cannot lean on what
# tells speakers apart. The thesis reports gains on all of its twenty pairs of tasks. Its published program compares other tensors than the
# text says, and may have loaded nothing where weights were to be taken over; so the method is measured here as it is defined, beside a control
# that the thesis does not have: being unlike a network that has learned *nothing*.

# %% tags=["parameters"]
corpora = "synthetic"   # targets, separated by commas: synthetic, emodb, ravdess, iemocap_4, fsdd, speech_commands, good_sounds
corpora_root = ""       # folder that holds them and the corpora of the tasks (emodb/, ravdess/); empty: SERCORE_CORPORA
profile = "quick"       # quick | full
protocol = "strict"     # strict | paper
systems = ""            # vgg16_pool, vgg16, alexnet, resnet50, separated by commas; empty: vgg16_pool
methods = ""            # none, wi, wi_frozen, at, at_random, at_inverse, at_wi, dual, separated by commas; empty: none, wi, at, at_random
taps = ""               # taps of anti-transfer, e.g. "conv_5, conv_9"; empty: conv_5
tasks = ""              # orthogonal tasks, e.g. "speaker_ravdess, word_fsdd"; empty: speakers of another corpus
conditions = ""         # harder recordings and easier divisions: low, high (noise), random, instruments, separated by commas; empty: none
size = ""               # small (128 x 32), reduced (256 x 64), whole (512 x 128); empty: that of the profile (quick small, full reduced)
variant = "definition"  # definition | released
folds = 0               # folds to run; 0: those of the profile (quick 1, full all)
seeds = 0               # runs a fold, each with its own seed; 0: those of the profile (quick 1, full 5)
epochs = 0              # at most; 0: those of the profile (quick 6, full 50)
scheduler = ""          # empty: this process; local: one worker a core; local:N; tcp://host:port: a Dask cluster

# %% [markdown]
# ## Question
# Is the recall of unseen speakers' emotions higher when the features of one layer are kept unlike those of a network that tells speakers
# apart, and is it the *task* of that network that does it?
#
# **It would count as "no"** if the 95 % interval of the difference to training without transfer contains zero; and the task would have no
# part in it if the difference to the control contains zero.
#
# ## Method
# **Input.** Magnitudes of 16-ms windows in segments of four seconds; one mean and one deviation of the *training* speakers; a recording of
# several segments answers with the mean of their logits.
#
# **Loss.** With $F$ the maps of one layer as a matrix of channels by points and $G = F F^\top$ their Gram matrix, for each recording
#
# $$L = \mathrm{CE} + \beta\,\cos^2(\mathrm{vec}\,G_p,\ \mathrm{vec}\,G_t),$$
#
# where $G_p$ is of the frozen network of the other task and $G_t$ of the one that learns; the mean is taken over the batch, $\beta = 1$. In the
# code: {class}`sercore.losses.anti_transfer.AntiTransferLoss`. Since inputs do not change from epoch to epoch, the $G_p$ are computed once.
#
# **Which tap.** Fixed beforehand: conv 5, the layer that the thesis reports as the best one for emotions. Choosing the best of thirteen
# afterwards favours the method.
#
# **Orthogonal task.** Speakers of *another* corpus, so that no test speaker has been heard; a run whose parent has heard its test side is
# refused unless that leak is declared.

# %%
from IPython.display import Markdown, display
from myst_nb import glue

from sercore import grids, results
from sercore.data.corpora import CORPORA
from sercore.pages import anti_transfer as page
from sercore.pages import anti_transfer_conditions as harder
from sercore.pages import overview, resources, tables
from sercore.plots import anti_transfer as figures

display(page.methods_table())

# %% [markdown]
# ## Run

# %%
names = [name.strip() for name in corpora.split(",") if name.strip()]
roots = dict.fromkeys(CORPORA, corpora_root) if corpora_root else {}
chosen = {
    "systems": [word.strip() for word in systems.split(",") if word.strip()],
    "methods": [word.strip() for word in methods.split(",") if word.strip()],
    "taps": [word.strip() for word in taps.split(",") if word.strip()],
    "tasks": [word.strip() for word in tasks.split(",") if word.strip()],
}
sweep, live = grids.run_chapter(
    "ch05_anti_transfer", names, profile, [protocol], roots, scheduler,
    size=size, variant=variant, folds=folds, seeds=seeds, epochs=epochs, **chosen,
)

# %%
shown = harder.at_taps(overview.sources("ch05_anti_transfer", live), chosen["taps"])
glue("answer", Markdown("**" + page.answer(shown) + "**"), display=False)
display(Markdown(f"{sweep.summary()}. {overview.not_comparable(shown)}"), tables.failed(sweep))
display(tables.runs("ch05_anti_transfer", shown))
display(Markdown(tables.provenance(shown)))

# %% [markdown]
# ## The other task
# A network that has not learned its task is no better than a random one, so its accuracy stands first.

# %%
display(page.orthogonal_table(shown))

# %% [markdown]
# ## With and without
# Every method minus no transfer, on the same speakers; anti-transfer also minus its control.

# %%
display(page.pairs(shown))
display(figures.likeness(page.gains(shown)))

# %% [markdown]
# ## Both losses over the epochs
# The best epoch is chosen by the cross-entropy of the validation speakers alone: sums of both losses at unlike layers cannot be compared.
# The thesis stops at their sum.

# %%
display(figures.losses(shown))

# %% [markdown]
# ## Harder recordings, easier divisions
# The thesis recognises words with noise at three levels, and divides emotions and sounds once by speaker or instrument and once at random.
# Here a noise is mixed into every recording, training side included, at a ratio of speech to noise that is drawn between the bounds of its
# level: `low` is 20 to 40 dB, `high` 0 to 10 dB. No source of noise is heard on two sides of a fold. A random division puts every speaker on
# all sides; what that alone is worth is in [the price of leaks](price_of_leaks.ipynb).

# %%
few = {"systems": chosen["systems"] or ["vgg16_pool"], "methods": chosen["methods"] or ["none", "at"]}
here = {**chosen, **few, "size": size, "variant": variant, "folds": folds, "seeds": seeds, "epochs": epochs}
noises, divisions = harder.asked(conditions)
noisy, under_noise = grids.run_chapter(
    "ch05_anti_transfer", names, profile, [protocol], roots, scheduler, noises=noises, **here
)
divided, by_division = grids.run_chapter(
    "ch05_anti_transfer", names, profile, [protocol], roots, scheduler, divisions=divisions, **here
)
both = [source for part in (under_noise, by_division) for source in overview.sources("ch05_anti_transfer", part)]
both = harder.at_taps(both, chosen["taps"])
display(tables.failed(noisy), tables.failed(divided), harder.conditions_table(both))

# %% [markdown]
# ## Published and ours
# Tables 5.2 (orthogonal tasks), 5.3 (words in noise), 5.4 (emotions) and 5.5 (sounds) of the thesis. The printed values are accuracies of one
# run each on corpora that have to be fetched or applied for; the best of thirteen layers for anti-transfer, one run for what it is compared
# with.

# %%
stored = results.load_results("ch05_anti_transfer")
display(tables.published(stored, source="thesis", locator="Table 5.2"))
display(tables.published(stored, source="thesis", locator="Table 5.3"))
display(tables.published(stored, source="thesis", locator="Table 5.4"))
display(tables.published(stored, source="thesis", locator="Table 5.5"))

# %% [markdown]
# ## What it costs
# The loss adds nothing to what is kept or shipped. In training it adds the Gram matrix of one layer; the frozen network is not run after the
# first epoch. `python -m benchmarks.anti_transfer` measures the step with and without it side by side.

# %%
display(resources.table(shown))

# %% [markdown]
# ## Verdict

# %%
display(Markdown("**Verdict.** " + page.answer(shown)))

# %% [markdown]
# ## What the thesis and its program do otherwise
# `variant="released"` switches what is compared and how weights are drawn, `protocol="paper"` what is done with the data.
#
# - **Gram matrix**: text: of each recording. Code: one of the whole batch, products of different recordings included, and cosines row by row.
#   *Here:* of each recording; `released` has the code's.
# - **layer n**: the code compares what the n-th convolution *reads*: layer 1 is the spectrogram itself, and the last convolution is never
#   tested. *Here:* after the n-th convolution and its ReLU, before pooling; {func}`sercore.models.taps.tap_of` translates.
# - **weights of another task**: in the public program of 2020 the file's names do not match and nothing is loaded, silently. *Here:* loading
#   is strict, and a run whose weights did not change is refused.
# - **beta**: the later program multiplies twice, so a negative beta inverts nothing. *Here:* once.
# - **stopping**: at the sum of both losses. *Here:* at the cross-entropy.
# - **best of thirteen**: the layer with the best validation accuracy is reported, against one run without transfer. *Here:* one layer fixed
#   beforehand; all of them, with intervals that hold for all together, are [the next chapter](ch05_layers.ipynb).
#
# ## Limits, and the full run
# - Reduced size: VGG16 of an eighth of the width on 256 x 64 inputs (recordings at 8 kHz). The whole size is `size="whole"`, for a GPU.
# - Ten speakers of EmoDB, acted speech. IEMOCAP, LibriSpeech, MS-SNSD, NSynth and Good-Sounds have to be fetched by their user.
# - Noise and random divisions are run on the synthetic corpus only. Words in noise as in Table 5.3, once MS-SNSD and Speech Commands lie in
#   one folder: `sercore sweep ch05_anti_transfer --profile full --corpus speech_commands_digits --protocol paper --set divisions=random
#   --set noises=none,low,high --set tasks=noise_ms_snsd,emotion_iemocap_4 --set size=whole`.
#
# ```
# make full CHAPTER=ch05_anti_transfer CORPORA=<folder>
# SERCORE_CORPORA=<folder> sercore publish ch05_anti_transfer
# ```
#
# Whole size on a GPU, other corpora, taps, methods and tasks; with `--dry-run` it says first what that takes:
#
# ```
# sercore sweep ch05_anti_transfer --profile full --corpus ravdess --protocol strict --set size=whole --set methods=none,at,dual \
#   --set tasks=word_fsdd,speaker_fsdd --dry-run
# ```
