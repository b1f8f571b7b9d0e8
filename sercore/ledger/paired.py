"""Two systems on the same speakers: a table of pairs with tests, and one sentence for a chapter's head."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from sercore import stats
from sercore.ledger.claims import LedgerError
from sercore.ledger.measurements import Comparison, Measurements
from sercore.ledger.rule import MIN_SEEDS, MIN_SPEAKERS
from sercore.results import Results
from sercore.stats import Metric

#: metric -> how a sentence names it, with its article
_SCORES: dict[Metric, str] = {"uar": "a UAR", "accuracy": "an accuracy"}


def label(system: str, settings: str = "") -> str:
    """A registry key as the papers print it, with what sets its runs apart.

    Args:
        system: of MODELS or BASELINES.
        settings: as `sercore.spec.RunSpec.settings` writes them.

    Example:
        >>> label("reslstm_sa_h64"), label("majority_class")
        ('ResLSTM-SA-h64', 'majority class')
        >>> label("mts_a1", "0.7_1_1.428-k5x5"), label("resnet18")
        ('A1 MTS (0.7, 1, 1.428; kernel 5x5)', 'ResNet18')
    """
    if "lstm_sa_h" in system:
        return system.replace("reslstm", "ResLSTM").replace("lstm_", "LSTM_").replace("_sa_", "-SA-")
    network = system.removeprefix("mts_")
    if network == "resnet18" or re.fullmatch(r"a\d", network):
        said = "; ".join(re.sub(r"^k(?=\d)", "kernel ", re.sub(r"(?<=\d)_(?=\d)", ", ", part)) for part in settings.split("-") if part)
        name = network.replace("resnet", "ResNet").replace("a", "A") + (" MTS" if system != network else "")
        return f"{name} ({said})" if said else name
    return system.replace("_", " ")


def comparisons(
    results: Results,
    pairs: Iterable[tuple[str, str]],
    corpus: str,
    protocol: str = "strict",
    variant: str = "definition",
    task: str = "emotion",
    metric: Metric = "uar",
) -> pd.DataFrame:
    """Pairs of systems on the same speakers, p corrected over the table by Holm.

    Args:
        results: with the groups of the pairs; pairs of which one side is missing are left out.
        pairs: (system, reference), registry keys; with settings as `mts_a1/0.7_1_1.428`, where a system was run with several.
        corpus: of all pairs.
        protocol, variant, task: of all pairs.
        metric: uar or accuracy.

    Returns:
        Columns `system, reference, score, reference_score, difference, low, high, p, p_holm, p_min, p_wilcoxon, detectable, speakers,
        seeds`; scores and differences are fractions of the metric.

    Raises:
        LedgerError: a side has two groups of runs that only settings tell apart, and the pair names none.
    """
    rows = []
    for system, reference in pairs:
        found = _comparison(Measurements(results), (system, reference), corpus, protocol, variant, task, metric)
        if found is None:
            continue
        rows.append(
            {
                "system": _label(system),
                "reference": _label(reference),
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


def answer(
    results: Results,
    system: str,
    reference: str,
    corpus: str,
    protocol: str = "strict",
    variant: str = "definition",
    task: str = "emotion",
    metric: Metric = "uar",
) -> str:
    """One sentence: is the first system's score above the second's? Arguments as `comparisons`.

    `No` where the paired interval over speakers contains zero (or lies below it), as the chapter announces; `Not decidable` with fewer
    than six speakers or five seeds, or where nothing was found and a difference of five points could have been missed.
    """
    found = _comparison(Measurements(results), (system, reference), corpus, protocol, variant, task, metric)
    if found is None:
        return f"Not run: {_label(system)} and {_label(reference)} on {corpus}, protocol {protocol}."
    d = found.difference
    word = "Yes" if d.low > 0 else "No, it is lower" if d.high < 0 else "No"
    if not found.decidable:
        few = found.n_speakers < MIN_SPEAKERS or found.n_seeds < MIN_SEEDS
        word = "Not decidable" + ("" if few else f" (only {100 * found.detectable:.1f} points or more would be found)")
    return (
        f"{word}: on {corpus} ({int(found.group['n_items'])} recordings, {found.n_speakers} speakers, {int(found.group['folds'])} folds, "
        f"{found.n_seeds} seeds, {protocol}) {_label(system)} has {_SCORES[metric]} of {100 * found.score:.1f} % and "
        f"{_label(reference)} of {100 * found.reference_score:.1f} %, a difference of {100 * d.estimate:+.1f} points "
        f"[{100 * d.low:+.1f}, {100 * d.high:+.1f}]; "
        f"{found.sign_flip}."
    )


def _label(name: str) -> str:
    """`label` of one side of a pair, settings behind a stroke."""
    return label(*name.split("/"))


def _comparison(
    data: Measurements, pair: tuple[str, str], corpus: str, protocol: str, variant: str, task: str, metric: Metric
) -> Comparison | None:
    rows = data.results.of(corpus=corpus, protocol=protocol, variant=variant, task=task).groups
    found = []
    for name in pair:
        system, _, settings = name.partition("/")
        side = rows[rows["system"].eq(system)]
        found.append(side[side["settings"].eq(settings)] if settings else side)
    if any(len(side) > 1 for side in found):
        raise LedgerError(f"{' or '.join(pair)} has two groups on {corpus}, {protocol}: {', '.join(pd.concat(found)['group'])}")
    if any(side.empty for side in found):
        return None
    return data.compare(found[0].iloc[0], found[1].iloc[0], metric)
