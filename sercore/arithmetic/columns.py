"""Columns that were copied: baselines that are another chapter's values, and parameter counts that do not fit their rows.

Four tables of chapter 7 list the same thirty networks with their parameter counts. A network has one count whatever it is trained on, so
the four columns should be equal; where they are not, the majority of the tables is taken as the count and the exceptions are listed. For
a column that disagrees as a whole, every exchange of the three architectures is tried.
"""

from __future__ import annotations

from itertools import permutations
from math import pi, sqrt

import pandas as pd

from sercore.arithmetic.rows import Printed

PARAMETER_TABLES = ("Table 7.2", "Table 7.3", "Table 7.4", "Table 7.5")
ARCHITECTURES = ("VGG16", "AlexNet", "ResNet-50")


def parameter_columns(printed: Printed, tables: tuple[str, ...] = PARAMETER_TABLES) -> pd.DataFrame:
    """Parameter counts as printed: one row a network and method (30), one column a table.

    Returns:
        Index `architecture, domain, at_type` (empty without AT) in printed order.
    """
    rows = printed.rows(source="thesis", locator=tables, metric="n_params")
    keys = ["architecture", "domain", "at_type"]
    wide = rows.pivot_table(index=keys, columns="locator", values="value", aggfunc="first")
    return wide.reindex(index=pd.MultiIndex.from_frame(rows[keys].drop_duplicates()), columns=list(tables))


def block_counts(columns: pd.DataFrame) -> pd.DataFrame:
    """The count of each architecture and algebra in each table: the most frequent one of its five rows."""
    return columns.groupby(level=["architecture", "domain"], sort=False).agg(lambda block: block.mode().iloc[0])


def exceptions_in_blocks(columns: pd.DataFrame) -> pd.DataFrame:
    """Cells that differ from the other rows of the same network in the same table.

    Returns:
        `architecture, domain, at_type, table, printed, others`.
    """
    usual = block_counts(columns)
    lines = [
        {"architecture": net, "domain": domain, "at_type": kind, "table": table, "printed": text, "others": usual.loc[(net, domain), table]}
        for (net, domain, kind), row in columns.iterrows()
        for table, text in row.items()
        if text != usual.loc[(net, domain), table]
    ]
    return pd.DataFrame(lines, columns=["architecture", "domain", "at_type", "table", "printed", "others"])


def best_exchange(columns: pd.DataFrame, table: str) -> tuple[dict[str, str], int, int]:
    """The exchange of architectures under which a table's counts agree best with the majority of the other tables.

    Returns:
        `(from -> to, agreeing as printed, agreeing after the exchange)`; counts are of the six pairs of architecture and algebra. The
        identity wins ties.
    """
    counts = block_counts(columns)
    others = counts.drop(columns=table).mode(axis=1)[0]
    found: list[tuple[int, tuple[str, ...]]] = []
    for order in permutations(ARCHITECTURES):
        renamed = {(to, domain): counts.loc[(net, domain), table] for net, to in zip(ARCHITECTURES, order, strict=True)
                   for domain in ("real", "quaternion")}  # fmt: skip
        found.append((sum(renamed[key] == others[key] for key in others.index), order))
    as_printed = found[0][0]  # permutations begin with the identity
    agreeing, order = max(found, key=lambda f: f[0])
    return dict(zip(ARCHITECTURES, order, strict=True)), as_printed, agreeing


def chapter_6_twins(printed: Printed) -> pd.DataFrame:
    """Random-split accuracies without AT of chapter 7, each beside the chapter 6 test accuracy of the same network and corpus.

    Returns:
        `claim_id, corpus, architecture, domain, value, twin_id, twin, equal` (as numbers: 70.0 equals 70.00).
    """
    seven = printed.rows(source="thesis", locator=PARAMETER_TABLES, metric="accuracy", split="random", at_type="")
    six = printed.rows(locator=("Table 6.1", "Table 6.2", "Table 6.3", "Table 6.4"), subset="test", domain=("real", "quaternion"))
    six = six[~six["method"].str.endswith("-Pre")]
    keys = ["corpus", "architecture", "domain"]
    joined = seven.merge(six[[*keys, "claim_id", "value", "x"]], on=keys, how="left", suffixes=("", "_6"))
    names = {"claim_id_6": "twin_id", "value_6": "twin"}
    return joined.assign(equal=joined["x"] == joined["x_6"]).rename(columns=names)[["claim_id", *keys, "value", "twin_id", "twin", "equal"]]


def chance_of_twins(twins: pd.DataFrame, recordings: dict[str, int], spread: float) -> float:
    """How likely all equal twins would be if chapter 7 had trained anew, and runs differed like normal draws: for scale, no test.

    A pair agrees with the probability of the likeliest outcome of the second run: the step of its grid (a tenth of the corpus is tested)
    over spread times root 2 pi, at most 1.

    Args:
        twins: of `chapter_6_twins`.
        recordings: by corpus.
        spread: standard deviation of an accuracy between runs, a fraction.
    """
    chance = 1.0
    for corpus in twins.loc[twins["equal"], "corpus"]:
        step = max(10 / recordings[corpus], 1e-4)  # one recording, or one unit of the last printed digit
        chance *= min(1.0, step / (spread * sqrt(2 * pi)))
    return chance


def same_numbers(printed: Printed) -> pd.DataFrame:
    """Accuracies and AT layers of the WASPAA table beside the VGG16 rows of the thesis: `claim_id, twin_id, value, twin, equal`."""
    keys = ["corpus", "domain", "at_type", "split", "metric"]
    paper = printed.rows(source="qat_waspaa2023", locator="Table 1", metric=("accuracy", "n_params"))
    thesis = printed.rows(source="thesis", locator=PARAMETER_TABLES, architecture="VGG16", metric=("accuracy", "n_params"))
    columns = [*keys, "claim_id", "value", "x", "at_layer"]
    joined = paper[columns].merge(thesis[columns], on=keys, suffixes=("", "_thesis"))
    equal = joined["x"].eq(joined["x_thesis"]) & joined["at_layer"].eq(joined["at_layer_thesis"])
    names = {"claim_id_thesis": "twin_id", "value_thesis": "twin"}
    return joined.assign(equal=equal).rename(columns=names)[["claim_id", "twin_id", "corpus", "metric", "value", "twin", "equal"]]
