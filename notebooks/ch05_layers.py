# %% [markdown]
# (ch-anti-transfer-layers)=
# # Where, and how strongly, should features be kept apart?
#
# *Anti-transfer learning, chapter 5 of {cite:t}`guizzo2023thesis`: its figures 5.4, 5.6 and 5.8, table 5.6. Quick: about a minute and a half on
# the embedded synthetic corpus. Full: for a GPU, or a day of one core.*
#
# The thesis takes the loss at each of the thirteen convolutions of VGG16 in turn and reports the best one: the fifth for emotions, the ninth
# being the worst. One run each; a best of thirteen is above zero even where nothing helps. Here every layer has an interval that holds for all
# layers together, and the layer that *validation* would have chosen is marked.

# %% tags=["parameters"]
corpora = "synthetic"   # targets, separated by commas: synthetic, emodb, ravdess, iemocap_4
corpora_root = ""       # folder that holds them and the corpora of the tasks; empty: SERCORE_CORPORA
profile = "quick"       # quick | full
taps = "all"            # taps of anti-transfer, separated by commas, or all: the thirteen convolutions
betas = "-1, 0.1, 1, 10"  # weights of the loss, separated by commas
aggregations = "gram, max"  # of the channels: gram, mean, sum, max, compressed_product
measures = "squared_cosine, sigmoid_mse"  # of two aggregates
task = ""               # one orthogonal task, e.g. speaker_ravdess; empty: speakers of another corpus
size = ""               # small, reduced, whole; empty: that of the profile
folds = 0               # folds to run; 0: those of the profile (quick 1, full all)
seeds = 0               # runs a fold; 0: those of the profile (quick 1, full 5)
epochs = 0              # at most; 0: those of the profile (quick 6, full 50)
scheduler = ""          # empty: this process; local: one worker a core; local:N; tcp://host:port: a Dask cluster

# %% [markdown]
# ## Question
# Is there a layer at which anti-transfer helps, when all thirteen are looked at together? Does the weight of the loss matter, and the way in
# which two layers are compared?
#
# **It would count as "no"** if no interval that holds for all layers together lies above zero.

# %%
from IPython.display import Markdown, display

from sercore import grids, results
from sercore.data.corpora import CORPORA
from sercore.pages import anti_transfer as page
from sercore.pages import anti_transfer_conditions as conditions
from sercore.pages import anti_transfer_costs as costs
from sercore.pages import overview, tables
from sercore.plots import anti_transfer as figures

names = [name.strip() for name in corpora.split(",") if name.strip()]
roots = dict.fromkeys(CORPORA, corpora_root) if corpora_root else {}
convolutions = [f"conv_{n}" for n in range(1, 14)] if taps.strip() == "all" else [tap.strip() for tap in taps.split(",") if tap.strip()]
plain = {"systems": ["vgg16_pool"], "tasks": [task] if task else [], "size": size, "folds": folds, "seeds": seeds, "epochs": epochs}

# %% [markdown]
# ## Every layer
# The mean difference of UAR to no transfer at each convolution. Thin lines are intervals of one layer, thick ones hold for all together
# (studentised wild bootstrap of the largest statistic over speakers).

# %%
sweep, live = grids.run_chapter(
    "ch05_anti_transfer", names, profile, ["strict"], roots, scheduler, methods=["none", "at"], taps=convolutions, **plain
)
shown = overview.sources("ch05_anti_transfer", live)
gains = page.gains(shown)
answer = costs.layers_answer(shown)
display(Markdown(f"**{answer}**"))
display(tables.failed(sweep), figures.gain_by_tap(gains))

# %% [markdown]
# ## What the loss itself does at each layer
# Deep layers of a network that has just been drawn are unlike those of any other already, so the loss has little to take away there. The
# mean of the first epoch stands beside that of the last.

# %%
display(costs.losses_table(shown))

# %% [markdown]
# ## Unlike, alike, and taken over
# If being unlike the other task helps because of that task, being kept *alike* (inverse beta) should hurt, and so should its frozen layers;
# being unlike a network that has learned nothing should do nothing.

# %%
sweep, live = grids.run_chapter(
    "ch05_anti_transfer", names, profile, ["strict"], roots, scheduler,
    methods=["none", "wi", "wi_frozen", "at", "at_inverse", "at_random"], **plain,
)
shown = overview.sources("ch05_anti_transfer", live)
display(tables.failed(sweep), figures.likeness(page.gains(shown)))

# %% [markdown]
# ## How strongly
# Beta from strongly alike to strongly unlike, for both ways of comparing.

# %%
sweep, live = grids.run_chapter(
    "ch05_anti_transfer", names, profile, ["strict"], roots, scheduler,
    methods=["none", "at"], betas=[float(beta) for beta in betas.split(",")], **plain,
)
shown = overview.sources("ch05_anti_transfer", live)
display(tables.failed(sweep), figures.gain_by_beta(page.gains(shown)))

# %% [markdown]
# ## What is compared
# The thesis' table 5.6: ways to sum up the channels before two layers are compared, and measures of likeness. Mean and sum give the same
# cosine by arithmetic; the thesis prints unlike accuracies for them, the only measure of chance in its chapter.

# %%
sweep, live = grids.run_chapter(
    "ch05_anti_transfer", names, profile, ["strict"], roots, scheduler, methods=["none", "at"],
    aggregations=[one.strip() for one in aggregations.split(",")], measures=[one.strip() for one in measures.split(",")], **plain,
)
shown = overview.sources("ch05_anti_transfer", live)
display(tables.failed(sweep), page.pairs(conditions.at_taps(shown)))
stored = results.load_results("ch05_anti_transfer")
display(tables.published(stored, source="thesis", locator="Table 5.6"))

# %% [markdown]
# ## Memory and time at each layer
# What the loss adds by the thesis' formula 5.4 (the frozen network up to the layer, two Gram matrices and two maps), and what our form with
# a cache adds. The thesis measured 2.8 times the time of an epoch; `python -m benchmarks.anti_transfer` measures ours, step by step and side
# by side.

# %%
display(costs.costs_table())

# %% [markdown]
# ## Verdict

# %%
display(Markdown(f"**Verdict.** {answer}"))

# %% [markdown]
# From the quick runs nothing follows about speech: they show that every layer, weight and measure can be run and what the figures will hold.
# Weights of the loss, ways to compare and the control at every layer are *not run* on real speech.
#
# ## Limits, and the full run
# - The quick network is narrow and its input small: with few channels, features of two networks are unlike from the start, and the loss has
#   less to do than at whole size.
# - Two test speakers at the quick profile: too few for intervals of all layers together.
# - Where one seed is stored, what a second draw of the weights would change is in no interval.
# - All of it is a day of one core at reduced size; the layers alone, one seed, an hour:
#
# ```
# papermill notebooks/ch05_layers.py out.ipynb -p profile full -p corpora emodb -p corpora_root <folder> -p scheduler local
# sercore sweep ch05_anti_transfer --profile full --root emodb=<folder> --root ravdess=<folder> \
#   --set taps=conv_1,conv_2,conv_3,conv_4,conv_5,conv_6,conv_7,conv_8,conv_9,conv_10,conv_11,conv_12,conv_13 --set methods=none,at --set seeds=1
# ```
