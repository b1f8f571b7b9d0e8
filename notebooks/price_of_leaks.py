# %% [markdown]
# (ch-price-of-leaks)=
# # What is each leak worth?
#
# {glue:md}`answer`
#
# *One small network, ResLSTM-SA-h32 of {cite:t}`krasnoproshin2026reslstm`, on RAVDESS and EmoDB: under the strict rules, with each leak of
# data handling switched on alone, and with all of them. Quick: under a minute on the embedded synthetic corpus. Full: four hours of one
# core (end of the page).*
#
# Results on emotional speech are hard to compare, because what test recordings may lend to training differs from paper to paper. That each
# of these leaks flatters is often said; here it is measured, on one code base, with the same network, the same people and the same seeds.

# %% tags=["parameters"]
corpora = "synthetic"   # names, separated by commas: synthetic, ravdess, emodb
corpora_root = ""       # folder that holds them (ravdess/, emodb/); empty: SERCORE_CORPORA
profile = "quick"       # quick | full
conditions = ""         # names, separated by commas; empty: all (quick: those that need no search)
folds = 0               # folds to run; 0: those of the profile (quick 4, full 5)
seeds = 0               # runs a fold, each with its own seed; 0: those of the profile (quick 1, full 5)
scheduler = ""          # empty: this process; local: one worker a core; local:N

# %% [markdown]
# ## Question
# By how many points does each leak, alone, raise the UAR of the same network tested on the same speakers?
#
# **It would count as "no price shown"** if the 95 % interval of the difference to strict, paired over speakers, holds zero.

# %%
from IPython.display import Markdown, display
from myst_nb import glue

from sercore import grids, provenance
from sercore.conditions import CONDITIONS
from sercore.pages import overview, prices, tables
from sercore.plots import prices as figures

display(tables.compact([{"condition": name.replace("_", " "), "what is done": text} for name, text in prices.MEANINGS.items()],
                       "The conditions", "conditions", origin=provenance.of_files("sercore/conditions.py")))

# %% [markdown]
# ## Method
# A run goes the same way under each condition; a leak is declared in its specification, and without the declaration the split plan or the
# sealed evaluator refuses it ({doc}`corpora_and_protocols`). Nothing else differs: the network, the seeds, the number of epochs and, but
# for the level filter and the copies (below), the sizes of the three sides. Hyper-parameters are those that the search on validation speakers chose under strict; only *tuned on test* (and *all
# leaks*) takes those of a second search of the same budget whose score is the UAR of the test speakers.
#
# Some leaks need a word. *Speaker overlap* deals the recordings to the sides whoever speaks, in the sizes of the strict sides, copies of one
# recording together. *Duplicate audio* imitates a corpus that holds each take twice, as sound and as film, and is shuffled: three fifths
# of the test recordings also train. *Level filter* leaves out what never rises above 0.05 of full scale, as the released code of two
# systems does silently; its test side has other recordings, so its interval is wider. *Unmasked padding* lets the network see padding,
# in batches that mix lengths. *Best of seeds* needs no run: it is the highest of the strict seeds less their mean.
#
# ## Run

# %%
names = [name.strip() for name in corpora.split(",") if name.strip()]
roots = {name: corpora_root for name in names if corpora_root and name != "synthetic"}
quick = [name for name, condition in CONDITIONS.items() if "tuned_on_test" not in condition.leaks]
chosen = [name.strip() for name in conditions.split(",") if name.strip()] or (list(CONDITIONS) if profile == "full" else quick)
sweep, live = grids.run_chapter("price_of_leaks", names, profile, chosen, roots, scheduler, folds=folds, seeds=seeds)
shown = overview.sources("price_of_leaks", live)
glue("answer", Markdown("**" + prices.answer(shown) + "**"), display=False)
display(Markdown(f"{sweep.summary()}. {overview.not_comparable(shown)}"), tables.failed(sweep))

# %% [markdown]
# ## The price list
# Stored rows come from full runs on real recordings; rows of *this build* only show that the way through works.

# %%
for source in sorted(shown, key=lambda one: one.origin != overview.STORED):
    found = {corpus: prices.prices(source.results, corpus) for corpus in dict.fromkeys(source.results.groups["corpus"])}
    display(figures.price_list(found, prices.stamp(source), provenance.of_runs(source.results)))

# %%
display(prices.table(shown))
display(Markdown(tables.provenance(shown)))
display(Markdown("\n".join(f"- {prices.plain_rows(corpus)}" for corpus in ("ravdess", "emodb"))))

# %% [markdown]
# ## The scores themselves
# A price is a difference; these are the two numbers behind it, each with its interval over speakers. The intervals of the scores are wider
# than those of the prices: which people are tested moves the score, and much less the difference.

# %%
for source in sorted(shown, key=lambda one: one.origin != overview.STORED):
    found = {corpus: prices.prices(source.results, corpus) for corpus in dict.fromkeys(source.results.groups["corpus"])}
    display(figures.scores(found, prices.stamp(source), provenance.of_runs(source.results)))

# %% [markdown]
# ## What the level filter takes away
# The filter is meant for empty files. At 0.05 of full scale it takes speech, and not evenly: quiet emotions go first.

# %%
display(prices.filtered(shown))

# %% [markdown]
# ## The searches

# %%
display(tables.searches("price_of_leaks"))

# %% [markdown]
# ## Verdict

# %%
display(Markdown("**Verdict.** " + prices.answer(shown)))

# %% [markdown]
# ## Limits, and the full run
# - One small network on two corpora of acted speech. A larger network has more room to learn who speaks: prices may be higher there.
# - Prices do not add up: a leak that lends what another has lent already is worth less.
# - Leaks through segments of one recording and through pre-training are not here: these recordings are not cut, and nothing is pre-trained.
# - The search of strict is not nested: its validation speakers are tested in other folds. This is the same in every condition.
#
# The full run, with RAVDESS (speech) and EmoDB below one folder, has 450 runs and two searches a corpus: by estimate four to five hours of one core
# and 200 MB of disk:
#
# ```
# make full CHAPTER=price_of_leaks CORPORA=<folder>
# SERCORE_CORPORA=<folder> sercore publish price_of_leaks
# ```
