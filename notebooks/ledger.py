# %% [markdown]
# (ch-ledger)=
# # The ledger of published numbers

# %% tags=["parameters"]
profile = "quick"  # quick | full: the same here, as results are read
source = ""        # one source, e.g. reslstm2026; empty for all

# %% tags=["remove-input"]
from IPython.display import Markdown

from sercore import ledger
from sercore.plots import ledger as figures

state, rows = ledger.state(source or None), ledger.verdicts(source=source or None)
numbers = rows[rows["row"] == "claim"]
Markdown(ledger.in_a_sentence(state))

# %% [markdown]
# *Five sources: a thesis and four papers. Quick and full: 30 s; nothing is trained here, what was trained is read from the repository.*
#
# ## Question
# Which published numbers of these five sources does this study reproduce, which not, and which can it not decide?
#
# **It would count as "no"** for a number if the published value lies outside the interval in which our own runs say that the next
# measurement of the same protocol would lie.
#
# ## Method
# Each published number is one row of `book/claims/claims.csv`. `map.csv` says what ours is: rows of our own results, or a check that
# computes a fact from the code. The verdict follows from a rule that was fixed before the runs ({func}`sercore.ledger.rule.judge`); the
# [reading guide](../reading_guide.md) has it in words. With $S$ seeds of ours (mean $m$, standard deviation $s$) and $R$ published runs, a
# value is *reproduced* if it lies in
#
# $$ m \pm t_{S-1}\; s \sqrt{1/S + 1/R} , $$
#
# the interval for the mean of $R$ further runs on the same speakers ({func}`sercore.stats.prediction.prediction_interval`). Who speaks is the
# same in both, so it does not widen this interval; it does widen the one printed beside each score, which is about other speakers
# ({func}`sercore.stats.bootstrap`).
#
# ## Verdicts by source

# %%
counts = ledger.counts_by_source(numbers)
ledger.counts_table(counts, "Published numbers")

# %%
figures.verdicts_by_source(counts)

# %% [markdown]
# *Not run* names the corpus or the device that is missing; *not checked yet* are facts and settings of systems whose chapter is not built.
# Where a source contradicts itself, the row says how, whether it was run or not; {ref}`the audit of the published numbers
# <ch-published-numbers>` has all of it, computed from the printed rows.
#
# ## Every number and setting
# Search for a table, a corpus, a system or a word; the columns sort. Scores are in per cent with the 95 % interval.

# %%
ledger.browse(rows)

# %% [markdown]
# ## Settings

# %%
ledger.counts_table(ledger.counts_by_source(rows[rows["row"] == "setting"]), "Stated settings")

# %% [markdown]
# ## What was run

# %%
ledger.runs_table(state)

# %% [markdown]
# ## Limits, and the full run
# A verdict is about the protocol as far as the source states it. Where it is silent (windows, tuned values), ours are choices, and the
# row of the setting says which. Rows of a source that rest on each other fail together: their number is no count of independent findings.
#
# `papermill notebooks/ledger.py full.ipynb -p profile full`: the same page; it changes when stored results do. The full runs behind it are
# started in the chapters of their systems.
