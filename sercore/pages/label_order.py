"""Which emotions do the rows of the printed confusion matrix of ResLSTM-SA-h64 belong to? Asked of our own recalls.

The axis of the paper's Fig. 4 has another order than the label codes of its authors' program. If the tick labels were put on in the wrong
order, the printed recalls belong to other emotions, and "happy is worst" would be said of sadness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sercore import provenance, stats
from sercore.data.items import EMOTIONS
from sercore.pages.overview import STORED, Source
from sercore.provenance import Origin

#: Diagonal of Fig. 4 in per cent, top to bottom, and the emotions that its axis names.
PRINTED_RECALLS = (57.3, 75.0, 62.5, 44.8, 73.4, 62.0, 62.0, 58.3)
PRINTED_AXIS = ("neutral", "calm", "anger", "happiness", "disgust", "sadness", "fear", "surprise")
#: RAVDESS' codes 01 to 08, which the authors' program numbers from 0.
CODE_ORDER = EMOTIONS[:8]
_SURE = 0.975


@dataclass(frozen=True)
class LabelOrder:
    """Both readings of the printed recalls beside ours.

    Attributes:
        table: one row an emotion: `emotion, as printed, by code, ours, lowest seed, highest seed`, per cent.
        distance_printed, distance_codes: mean absolute difference to ours, points.
        share_codes: share of resamples of our speakers in which the order of the codes is nearer.
        stamp: what ours are.
        origin: the group of ours.
    """

    table: pd.DataFrame
    distance_printed: float
    distance_codes: float
    share_codes: float
    stamp: str
    origin: Origin

    def __str__(self) -> str:
        found = f"{self.distance_printed:.1f} points from ours as printed, {self.distance_codes:.1f} in the order of the codes"
        how = f"the codes are nearer in {100 * self.share_codes:.1f} % of 2000 resamples of our speakers"
        if self.share_codes >= _SURE:
            word = "The tick labels of the printed matrix are probably permuted"
        elif self.share_codes <= 1 - _SURE:
            word = "The printed matrix is probably labelled rightly"
        else:
            word = "Our recalls do not decide it"
        worst = self.table.set_index("emotion")["ours"].idxmin()
        return f"{word}: the printed recalls lie {found}; {how}. Our worst emotion is {worst}. [{self.stamp}]"


def compare_label_orders(shown: Sequence[Source], system: str = "reslstm_sa_h64", resamples: int = 2000) -> LabelOrder | None:
    """Read the printed recalls in both orders and see which lies nearer to ours.

    Ours under the source's own protocol where it was run, else the strict one. The general level is taken out first (mean over the eight
    emotions), as the two runs need not be equally good.

    Args:
        shown: of `sercore.pages.overview.sources`; only stored full runs on RAVDESS count.
        system: the network of Fig. 4.
        resamples: of speakers, with replacement.

    Returns:
        The comparison; None where nothing is stored.
    """
    for source in (s for s in shown if s.origin == STORED):
        groups = source.results.of(corpus="ravdess", system=system).groups.set_index("protocol")["group"]
        for protocol in ("paper", "strict"):
            if protocol in groups:
                data = stats.cube(source.results.counts, groups[protocol])
                stamp = f"{source.stamp('ravdess').partition(':')[0]}, ravdess, {protocol}, {len(data.seeds)} seeds"
                origin = provenance.of_runs(source.results, [groups[protocol]]) + provenance.of_files("book/claims/claims.csv")
                return _compare(data, stamp, resamples, origin)
    return None


def _compare(data: stats.Cube, stamp: str, resamples: int, origin: Origin | None = None) -> LabelOrder:
    as_printed = np.array([PRINTED_RECALLS[PRINTED_AXIS.index(label)] for label in CODE_ORDER])
    by_code = np.array(PRINTED_RECALLS)
    order = [data.labels.index(label) for label in CODE_ORDER]
    found = np.diagonal(data.counts, axis1=2, axis2=3)[:, :, order]  # seeds x speakers x classes
    items = data.counts.sum(axis=3)[:, :, order]
    seeds = 100 * found.sum(axis=1) / items.sum(axis=1)
    ours = seeds.mean(axis=0)
    drawn = np.random.default_rng(0).integers(len(data.speakers), size=(resamples, len(data.speakers)))
    again = 100 * found.sum(axis=0)[drawn].sum(axis=1) / items.sum(axis=0)[drawn].sum(axis=1)  # resamples x classes
    table = pd.DataFrame({"emotion": CODE_ORDER, "as printed": as_printed, "by code": by_code, "ours": ours})
    table = table.assign(**{"lowest seed": seeds.min(axis=0), "highest seed": seeds.max(axis=0)})
    share = float((_distance(again, by_code) < _distance(again, as_printed)).mean())
    return LabelOrder(table, float(_distance(ours, as_printed)), float(_distance(ours, by_code)), share, stamp, origin or Origin())


def _distance(ours: np.ndarray, printed: np.ndarray) -> np.ndarray:
    """Mean absolute difference of recalls whose means over the classes were taken out, last axis."""
    return np.abs((ours - ours.mean(axis=-1, keepdims=True)) - (printed - printed.mean())).mean(axis=-1)
