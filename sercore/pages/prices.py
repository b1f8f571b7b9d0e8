"""The price list of leaks: what each leak adds to the score of the same network on the same speakers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sercore import ledger, provenance, stats
from sercore.conditions import CONDITIONS
from sercore.ledger.measurements import Measurements, speaker_differences
from sercore.ledger.rule import MIN_SEEDS, MIN_SPEAKERS
from sercore.pages.overview import STORED, Source
from sercore.pages.tables import compact
from sercore.provenance import Origin, Table
from sercore.results import Results, load_results

#: The line that needs no run of its own: the best seed of strict in place of the mean.
BEST_OF_SEEDS = "best_of_seeds"
MEANINGS = {name: condition.meaning for name, condition in CONDITIONS.items()} | {
    BEST_OF_SEEDS: "the best seed on the test speakers is reported in place of the mean"
}
COLUMNS = [
    "condition", "group", "recordings", "speakers", "folds", "seeds", "uar", "uar_low", "uar_high",
    "price", "low", "high", "p", "p_holm", "p_min",
]  # fmt: skip


def condition_of(leaks: str) -> str:
    """Name of the condition whose leaks are these, as the column `leaks` of the groups joins them (`a+b`); empty where none is.

    Example:
        >>> condition_of("global_normaliser"), condition_of("")
        ('global_normaliser', 'strict')
    """
    return next((name for name, condition in CONDITIONS.items() if "+".join(sorted(condition.leaks)) == leaks), "")


def prices(results: Results, corpus: str) -> pd.DataFrame:
    """UAR under each condition, and its difference to strict.

    Args:
        results: with the groups of one network on the corpus; other systems are not read.
        corpus: name.

    Returns:
        Columns COLUMNS, one row a condition that was run, in the order of CONDITIONS, the best of seeds before the last. `uar` and
        `price` are fractions with 95 % intervals (two-level bootstrap over speakers and their recordings); `p` is of the exact sign-flip
        over speakers, `p_holm` corrected over the rows; they are empty for strict and for the best of seeds, which is above the mean by
        construction. Empty without a strict row.

    A condition that tested other speakers than strict (folds are missing) has a score and no price.
    """
    groups = results.of(corpus=corpus).groups
    groups = groups[groups["system"].str.contains("lstm_sa")]
    by_condition = {condition_of(leaks): name for name, leaks in zip(groups["group"], groups["leaks"].fillna(""), strict=True)}
    if "strict" not in by_condition:
        return pd.DataFrame(columns=COLUMNS)
    data = Measurements(results)
    strict = data.cube(by_condition["strict"])
    extent = groups.set_index("group")
    rows = []
    for name in CONDITIONS:
        if name == "all_leaks" and len(strict.seeds) > 1:
            rows.append(_best_of_seeds(strict, by_condition["strict"], extent))
        if name in by_condition:
            rows.append(_row(name, by_condition[name], data, strict, extent))
    table = pd.DataFrame(rows, columns=COLUMNS)
    tested = table["p"].notna()
    if tested.any():
        table.loc[tested, "p_holm"] = stats.holm(table.loc[tested, "p"])
    return table


def _row(name: str, group: str, data: Measurements, strict: stats.Cube, extent: pd.DataFrame) -> dict:
    mine, score = data.cube(group), data.interval(group)
    row = {
        "condition": name, "group": group, "recordings": mine.n_items, "speakers": len(mine.speakers), "folds": extent["folds"][group],
        "seeds": len(mine.seeds), "uar": score.estimate, "uar_low": score.low, "uar_high": score.high,
    }  # fmt: skip
    if name == "strict":
        return row
    if mine.speakers != strict.speakers:
        return row
    same = (mine.counts[0].sum(axis=2) == strict.counts[0].sum(axis=2)).all()
    price = (stats.bootstrap_difference if same else stats.bootstrap_difference_of_unlike)(mine, strict)
    test = stats.sign_flip(speaker_differences(mine, strict))
    return row | {"price": price.estimate, "low": price.low, "high": price.high, "p": test.p, "p_min": test.p_min}


def _best_of_seeds(strict: stats.Cube, group: str, extent: pd.DataFrame) -> dict:
    gain = stats.best_of_seeds(strict)
    return {
        "condition": BEST_OF_SEEDS, "group": group, "recordings": strict.n_items, "speakers": len(strict.speakers),
        "folds": extent["folds"][group], "seeds": len(strict.seeds), "uar": float(strict.scores().max()),
        "price": gain.estimate, "low": gain.low, "high": gain.high,
    }  # fmt: skip


def finding(row: pd.Series | dict) -> str:
    """What a row shows: `raises`, `lowers`, `not shown` (its interval holds zero), or `not decidable` (too few speakers or seeds)."""
    if row["condition"] in ("strict", BEST_OF_SEEDS):
        return "by construction" if row["condition"] == BEST_OF_SEEDS else ""
    if pd.isna(row["price"]):
        return "not comparable: other speakers"
    if row["speakers"] < MIN_SPEAKERS or row["seeds"] < MIN_SEEDS:
        return "not decidable"
    return "raises" if row["low"] > 0 else "lowers" if row["high"] < 0 else "not shown"


def table(shown: Sequence[Source], corpora: Sequence[str] = ("ravdess", "emodb")) -> Table:
    """The price list in words: every condition of every corpus, this build's and the stored ones; `not run` where promised and missing.

    Args:
        shown: of `sercore.pages.overview.sources`.
        corpora: of the full study.
    """
    rows = []
    for source in shown:
        origin = "stored" if source.origin == STORED else source.origin
        for corpus in dict.fromkeys(source.results.groups["corpus"]):
            rows += [{"from": f"{origin}, {corpus}"} | _in_words(row) for row in prices(source.results, corpus).to_dict("records")]
    kept = {(row["from"], row["condition"]) for row in rows}
    for corpus in corpora:
        waiting = [name for name in CONDITIONS if (f"stored, {corpus}", name.replace("_", " ")) not in kept]
        if len(waiting) == len(CONDITIONS):
            waiting = ["all conditions"]
        rows += [{"from": f"promised, {corpus}", "condition": name.replace("_", " "), "UAR [95 %]": "not run"} for name in waiting]
    caption = "The price of each leak, in points of UAR, paired over speakers"
    return compact(rows, caption, "prices", ("UAR [95 %]", "price [95 %]"), _origin(shown))


def _origin(shown: Sequence[Source]) -> Origin:
    """The runs of all sources, and the list of what is priced."""
    return sum((provenance.of_runs(source.results) for source in shown), provenance.of_files("sercore/conditions.py"))


def _in_words(row: dict) -> dict[str, str]:
    spread = f" [{100 * row['uar_low']:.1f}, {100 * row['uar_high']:.1f}]" if pd.notna(row["uar_low"]) else ""
    words = {"condition": row["condition"].replace("_", " "), "UAR [95 %]": f"{100 * row['uar']:.1f}{spread}"}
    priced = pd.notna(row["price"])
    words["price [95 %]"] = f"{100 * row['price']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]" if priced else ""
    words["p (Holm)"] = f"{row['p_holm']:.2g}" if pd.notna(row["p_holm"]) else ""
    extent = f"{row['recordings']}, {row['speakers']}, {row['folds']}, {row['seeds']}"
    return words | {"finding": finding(row), "recordings, speakers, folds, seeds": extent}


def answer(shown: Sequence[Source], corpora: Sequence[str] = ("ravdess", "emodb")) -> str:
    """One line for the chapter's head, from stored rows only: what all leaks together are worth, and the dearest one alone.

    `Not run in full` where a condition is missing or has fewer seeds than another (the dearest of a part would not be the dearest), and
    before the line where all have fewer than five.
    """
    stored = next((source.results for source in shown if source.origin == STORED), None)
    said = []
    for corpus in corpora:
        rows = prices(stored, corpus).set_index("condition") if stored is not None else pd.DataFrame()
        if not set(CONDITIONS) <= set(rows.index) or rows["seeds"].min() < rows["seeds"].max():
            said.append(f"Not run in full on {corpus}.")
            continue
        if (seeds := int(rows["seeds"].iloc[0])) < MIN_SEEDS:
            said.append(f"Not run in full on {corpus}: {seeds} of {MIN_SEEDS} seeds. So far:")
        parts = [f"On {corpus} ({int(rows['recordings']['strict'])} recordings, {int(rows['speakers']['strict'])} speakers, strict UAR "]
        parts.append(f"{100 * rows['uar']['strict']:.1f} %)")
        alone = rows.drop(index=["strict", "all_leaks", BEST_OF_SEEDS], errors="ignore")
        parts.append(f" all leaks together add {_points(rows.loc['all_leaks'])};")
        dearest = alone["price"].idxmax()
        parts.append(f" alone, {str(dearest).replace('_', ' ')} is the dearest, {_points(alone.loc[dearest])}.")
        said.append("".join(parts))
    return " ".join(said)


def _points(row: pd.Series) -> str:
    return f"{100 * row['price']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"


def filtered(shown: Sequence[Source]) -> Table:
    """How many recordings of each class the level filter left out, counted in the rows tested under strict and under the filter.

    Args:
        shown: of `sercore.pages.overview.sources`; sources that lack one of the two conditions give no row.
    """
    rows = []
    for source in shown:
        for corpus in dict.fromkeys(source.results.groups["corpus"]):
            data = Measurements(source.results)
            found = prices(source.results, corpus).set_index("condition")
            if not {"strict", "level_filter"} <= set(found.index):
                continue
            before, after = (data.cube(found["group"][name]) for name in ("strict", "level_filter"))
            whole, left = (side.counts[0].sum(axis=(0, 2)) for side in (before, after))
            lost = {label: f"{n - m} of {n}" for label, n, m in zip(before.labels, whole, left, strict=True) if n > m}
            words = ", ".join(f"{label} {text}" for label, text in lost.items()) or "none"
            rows.append({"corpus": corpus, "left out": f"{whole.sum() - left.sum()} of {whole.sum()}", "by emotion": words})
    caption = "What the level filter leaves out of the test sides"
    return compact(rows or [{"corpus": "", "left out": "not run"}], caption, "filtered", origin=_origin(shown))


def stamp(source: Source) -> str:
    """The stamps of all corpora of a source, for a figure's caption."""
    return "; ".join(source.stamp(corpus) for corpus in dict.fromkeys(source.results.groups["corpus"]))


def plain_rows(corpus: str) -> str:
    """The plain rows for scale, from the stored rows of the ResLSTM-SA chapter, in words; `not run` where there are none."""
    rows = load_results("reslstm_sa").of(corpus=corpus, protocol="strict")
    data, said = Measurements(rows), []
    for system in ledger.FOR_SCALE:
        found = rows.groups.loc[rows.groups["system"].eq(system), "group"]
        said.append(f"{ledger.label(system)} {data.in_words(found.iloc[0]) if len(found) else 'not run'}")
    return f"{corpus}, strict, for scale: {'; '.join(said)}"
