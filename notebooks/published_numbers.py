# %% [markdown]
# (ch-published-numbers)=
# # Do the published numbers agree with each other?
#
# {glue:md}`answer`
#
# *Five sources: a thesis and four papers. Quick and full: 30 s; no recording is needed, nothing is trained and nothing is measured.*

# %% tags=["parameters"]
source = ""        # tables and findings of one source, e.g. thesis; empty for all
profile = "quick"  # quick | full: the same here, as only printed numbers are read
largest = 1500     # test-set sizes up to which the grids are drawn

# %% [markdown]
# ## Question
# Before a number is reproduced, it should be known what it is. Do the averages, gains and p values that a source states follow from the
# rows that it prints? Could its splits be made? Does it give the same number in two places? Which test-set sizes are its accuracies
# consistent with?
#
# **It would count as "no"** if a stated number lies further than half a unit of its last digit from what its rows give, under every reading of
# its words; if accuracies that are compared cannot have been measured on test sets of one size; or if a split needs more speakers than
# there are.
#
# ## What kinds of finding there are
# *Arithmetic* follows from printed digits alone. *Inference from printed decimals* reads a size off the grid on which accuracies lie: a size
# that they are consistent with, no more. A *fact about the corpus* needs its number of speakers or recordings. *Reading* was found by a
# person in words, captions and equations, and is not computed. A finding is about numbers on a page. Why they are so is not known here;
# slips happen in every long text, and this one may have its own: each is printed with its place, so that it can be checked.

# %%
from IPython.display import Markdown, display
from myst_nb import glue

from sercore.arithmetic import Audit
from sercore.arithmetic.findings import findings
from sercore.pages import arithmetic as tables
from sercore.plots import arithmetic as figures

audit = Audit()
found = findings(audit)
shown = findings(audit, source)
glue("answer", Markdown("**" + tables.answer(audit, found) + "**"), display=False)
display(tables.kinds_table(found))

# %% [markdown]
# ## Averages, computed again
# Each is computed from the rows of `book/claims/claims.csv` ({mod}`sercore.arithmetic.statements`). Where the words leave open how, every
# reading is tried, and the nearest counts. A stated number *follows* within half a unit of its last digit (a tenth where the text says
# "about"), is *off by rounding or truncation* within twice that, and else *does not follow*. Rows are themselves rounded; a mean of differences
# of two-digit numbers is uncertain by at most one hundredth.

# %%
figures.distances(audit.statements)

# %%
tables.statements_table(audit, source)

# %% [markdown]
# The mean gains of quaternion anti-transfer are stated in the thesis (three networks) and in the WASPAA paper (one of them). Averages over
# any grouping of the same rows have to agree; the stated ones agree among themselves, the rows give others.

# %%
figures.mean_gains(audit.statements)

# %% [markdown]
# ## Grids of accuracies
# An accuracy over $n$ recordings is a whole number of $n$-ths. Printed with $d$ decimals of a per cent, it stands for an interval, half a unit to
# both sides if it was rounded, one unit upwards if digits were cut off; $n$ *fits* if a multiple of $1/n$ lies in every interval of a group
# ({mod}`sercore.arithmetic.granularity`). The same holds for averages of equal parts (folds, full batches), with $n$ their size times their number,
# and for means of recalls (UA, UAR), with $n$ the number of classes times the least common multiple of their sizes.
#
# A number that knows nothing of $n$ fits it with probability $p_n = \min(1, n\,10^{-(d+2)})$, so that $\sum_{m \le n} p_m^N$ sizes up to $n$ would
# fit $N$ different numbers by chance. A fit is read as one only if that is below one in a hundred and $N \ge 4$; with one decimal, or few numbers,
# everything fits, and the grid *does not decide*. Where most numbers lie on a grid, a multiple of it reaches the others easily; both are given.

# %%
figures.grids(audit, largest)

# %%
tables.grids_table(audit, source)

# %% [markdown]
# ## Baselines that are another chapter's values

# %%
display(tables.twins_table(audit))
display(Markdown(tables.twins_argument(audit)))

# %% [markdown]
# ## Columns of counts
# Four tables of chapter 7 list the same thirty networks. A network has one number of parameters whatever it is trained on, so their
# columns should be equal. For each table every exchange of the three architectures is tried, and the one kept under which it agrees best
# with the other three ({func}`sercore.arithmetic.columns.best_exchange`).

# %%
figures.parameter_columns(audit.parameters)

# %% [markdown]
# ## Splits and speakers, p values, and two places

# %%
display(tables.splits_table(audit, source))
display(tables.tests_table(audit))
display(tables.places_table(audit, shown))

# %% [markdown]
# A p value that holds for one way to form pairs and not for another is a statement about that way. In none of these tests are the pairs
# independent: they share recordings, networks and baselines, and are often the best of several cells.
#
# ## Every finding
# Search for a table, a corpus or a word; the columns sort. *Why* says what a finding rests on, and what it means for somebody who repeats
# the study.

# %%
tables.browse(shown)

# %% [markdown]
# ## Verdict

# %%
Markdown(tables.verdict(audit, found))

# %% [markdown]
# The numbers that the {ref}`ledger <ch-ledger>` calls *inconsistent* stay so whether they are run or not.
#
# ## Limits, and the full run
# - The numbers are those of our transcription, which was checked against the texts by a second parser. Values that exist only in figures are
#   not in it, and places are tables and sections, as the texts that were read have no pages.
# - A size that fits is no proof: batches of unequal size, averages over unequal folds, or another rounding change the grid. Where the table says
#   *no single size*, one of these must hold, or the numbers are of more than one test set.
# - Chance is computed for numbers that know nothing of $n$ and of each other. Rows of one table share a test set, and high accuracies crowd
#   at the top, so it is a guide.
# - One statement of an earlier recomputation (the length of an epoch that two savings imply) has no printed number to compare with, and
#   is left out. Four statements on the size of ResLSTM-SA follow or come nearer here, as batch normalisation is counted, which its text omits.
#
# `papermill notebooks/published_numbers.py full.ipynb -p profile full`: the same page; it changes when `book/claims` does.
