"""Two systems on the same speakers: a table of pairs with tests, and one sentence for a chapter's head."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import get_args

import pandas as pd

from sercore import stats
from sercore.ledger.claims import LedgerError
from sercore.ledger.measurements import Comparison, Measurements
from sercore.ledger.rule import MIN_SEEDS, MIN_SPEAKERS
from sercore.results import Results
from sercore.spec import Task
from sercore.stats import Metric

#: Networks of thesis ch. 5 to 7.
_BACKBONES = {"vgg16": "VGG16 without pooling", "vgg16_pool": "VGG16", "alexnet": "AlexNet", "resnet50": "ResNet50"}
_TASKS = "|".join(get_args(Task))
#: The loss of anti-transfer as `AntiTransferSpec.label` writes it: taps, whom it is against, whatever differs from the plain loss.
_LOSS = re.compile(
    rf"at_(?P<taps>.+?)_(?P<against>random|(?:{_TASKS})_.+?)"
    r"(?:_b(?P<beta>m?\d[\d.em+]*))?(?:_(?P<aggregation>mean|sum|compressed_product|max))?(?P<mse>_mse)?(?P<released>_released)?"
)
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
        >>> label("vgg16_pool", "w0.125-at_conv_5_speaker_ravdess")
        'VGG16 (width 1/8; anti-transfer at conv 5 against speakers of ravdess)'
    """
    if "lstm_sa_h" in system:
        return system.replace("reslstm", "ResLSTM").replace("lstm_", "LSTM_").replace("_sa_", "-SA-")
    if system in _BACKBONES:
        said = "; ".join(transferred(part) for part in settings.split("-") if part)
        return f"{_BACKBONES[system]} ({said})" if said else _BACKBONES[system]
    network = system.removeprefix("mts_")
    if network == "resnet18" or re.fullmatch(r"a\d", network):
        said = "; ".join(re.sub(r"^k(?=\d)", "kernel ", re.sub(r"(?<=\d)_(?=\d)", ", ", part)) for part in settings.split("-") if part)
        name = network.replace("resnet", "ResNet").replace("a", "A") + (" MTS" if system != network else "")
        return f"{name} ({said})" if said else name
    return system.replace("_", " ")


def transferred(part: str) -> str:
    """One part of the settings of a network of thesis ch. 5 to 7 in words: width, noise, what it starts from, or what it is kept unlike.

    Args:
        part: as `sercore.spec.RunSpec.settings` writes it, between hyphens; `task_corpus` alone is an orthogonal task.

    Returns:
        Words; what is none of these as it is.

    Example:
        >>> transferred("w0.125"), transferred("wi_speaker_ravdess_frozen_conv_5")
        ('width 1/8', 'weights of speakers of ravdess, frozen up to conv 5')
        >>> transferred("at_conv_5+conv_9_random")
        'anti-transfer at conv 5 and conv 9 against a random network'
        >>> transferred("at_conv_5_word_fsdd_bm1_mean_mse")
        'anti-transfer at conv 5 against words of fsdd, beta -1, mean, sigmoid MSE'
        >>> transferred("wi_emotion_emodb_at_conv_5_speaker_ravdess")
        'weights of emotions of emodb with anti-transfer at conv 5 against speakers of ravdess'
        >>> transferred("noise_esc10_m5to10dB"), transferred("wi_word_fsdd_noise_esc10_0to10dB_at_conv_5_random")[:46]
        ('noise of esc10 at -5 to 10 dB', 'weights of words of fsdd with noise of esc10 a')
    """
    if width := re.fullmatch(r"w([\d.]+)", part):
        share = Fraction(width[1]).limit_denominator(64)
        return f"width {share if share.numerator == 1 else width[1]}"
    if started := re.fullmatch(r"wi(all)?_(.+?)(?:_frozen_(.+))?", part):
        weights = "all weights but the classifier's" if started[1] else "weights"
        frozen = f", frozen up to {started[3].replace('_', ' ')}" if started[3] else ""
        return f"{weights} of {transferred(started[2])}{frozen}"
    if loss := _LOSS.fullmatch(part):
        against = "a random network" if loss["against"] == "random" else " and ".join(map(transferred, loss["against"].split("+")))
        said = f"anti-transfer at {loss['taps'].replace('_', ' ').replace('+', ' and ')} against {against}"
        more = [f"beta {loss['beta'].replace('m', '-')}"] if loss["beta"] else []
        more += [loss["aggregation"].replace("_", " ")] if loss["aggregation"] else []
        return ", ".join([said, *more, *(["sigmoid MSE"] if loss["mse"] else []), *(["as released"] if loss["released"] else [])])
    if noise := re.fullmatch(r"noise_(.+)_(m?[\d.]+)(?:to(m?[\d.]+))?dB", part):
        levels = " to ".join(level.replace("m", "-") for level in noise.groups()[1:] if level)
        return f"noise of {noise[1]} at {levels} dB"
    if orthogonal := re.fullmatch(rf"({_TASKS})_(.+?)(?:_(noise_.+?dB))?(?:_(at_.+))?", part):
        many = orthogonal[1].removesuffix("y") + ("ies" if orthogonal[1].endswith("y") else "s")
        told = [transferred(more) for more in orthogonal.groups()[2:] if more]
        return f"{many} of {orthogonal[2]}" + (f" with {' and '.join(told)}" if told else "")
    return part


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
