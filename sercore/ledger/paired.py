"""Two systems on the same speakers: a table of pairs with tests, and one sentence for a chapter's head."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from sercore import stats
from sercore.ledger.claims import LedgerError
from sercore.ledger.measurements import Comparison, Measurements
from sercore.ledger.rule import MIN_SEEDS, MIN_SPEAKERS
from sercore.results import Results


def label(system: str) -> str:
    """A registry key as the papers print it.

    Example:
        >>> label("reslstm_sa_h64"), label("majority_class")
        ('ResLSTM-SA-h64', 'majority class')
    """
    if "lstm_sa_h" in system:
        return system.replace("reslstm", "ResLSTM").replace("lstm_", "LSTM_").replace("_sa_", "-SA-")
    return system.replace("_", " ")


def comparisons(
    results: Results, pairs: Iterable[tuple[str, str]], corpus: str, protocol: str = "strict", variant: str = "definition"
) -> pd.DataFrame:
    """Pairs of systems on the same speakers, p corrected over the table by Holm.

    Args:
        results: with the groups of the pairs; pairs of which one side is missing are left out.
        pairs: (system, reference), registry keys.
        corpus: of all pairs.
        protocol, variant: of all pairs.

    Returns:
        Columns `system, reference, score, reference_score, difference, low, high, p, p_holm, p_min, p_wilcoxon, detectable, speakers,
        seeds`; scores and differences are fractions of UAR.
    """
    rows = []
    for system, reference in pairs:
        found = _comparison(Measurements(results), system, reference, corpus, protocol, variant)
        if found is None:
            continue
        rows.append(
            {
                "system": label(system),
                "reference": label(reference),
                "score": found.score,
                "reference_score": found.reference_score,
                "difference": found.difference.estimate,
                "low": found.difference.low,
                "high": found.difference.high,
                "p": found.sign_flip.p,
                "p_min": found.sign_flip.p_min,
                "p_wilcoxon": found.wilcoxon.p,
                "detectable": found.detectable,
                "speakers": found.n_speakers,
                "seeds": found.n_seeds,
            }
        )
    table = pd.DataFrame(rows)
    if len(table):
        table.insert(8, "p_holm", stats.holm(table["p"]))
    return table


def answer(results: Results, system: str, reference: str, corpus: str, protocol: str = "strict", variant: str = "definition") -> str:
    """One sentence: is the first system's recall above the second's?

    `No` where the paired interval over speakers contains zero (or lies below it), as the chapter announces; `Not decidable` with fewer
    than six speakers or five seeds, or where nothing was found and a difference of five points could have been missed.
    """
    found = _comparison(Measurements(results), system, reference, corpus, protocol, variant)
    if found is None:
        return f"Not run: {label(system)} and {label(reference)} on {corpus}, protocol {protocol}."
    d = found.difference
    word = "Yes" if d.low > 0 else "No, it is lower" if d.high < 0 else "No"
    if not found.decidable:
        few = found.n_speakers < MIN_SPEAKERS or found.n_seeds < MIN_SEEDS
        word = "Not decidable" + ("" if few else f" (only {100 * found.detectable:.1f} points or more would be found)")
    return (
        f"{word}: on {corpus} ({int(found.group['n_items'])} recordings, {found.n_speakers} speakers, {int(found.group['folds'])} folds, "
        f"{found.n_seeds} seeds, {protocol}) {label(system)} has a UAR of {100 * found.score:.1f} % and {label(reference)} of "
        f"{100 * found.reference_score:.1f} %, a difference of {100 * d.estimate:+.1f} points [{100 * d.low:+.1f}, {100 * d.high:+.1f}]; "
        f"{found.sign_flip}."
    )


def _comparison(data: Measurements, system: str, reference: str, corpus: str, protocol: str, variant: str) -> Comparison | None:
    rows = data.results.of(corpus=corpus, protocol=protocol, variant=variant, task="emotion").groups
    found = [rows[rows["system"].eq(name)] for name in (system, reference)]
    if any(len(side) > 1 for side in found):
        raise LedgerError(f"{system} or {reference} has two groups on {corpus}, {protocol}: {', '.join(pd.concat(found)['group'])}")
    if any(side.empty for side in found):
        return None
    return data.compare(found[0].iloc[0], found[1].iloc[0])
