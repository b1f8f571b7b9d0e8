"""Stated splits against the numbers of speakers and recordings: which cannot be made as described.

Speakers are those of the corpus card or those that the sources state, whichever are more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from sercore.arithmetic.rows import Printed
from sercore.data.card import card_names, load_card
from sercore.ledger.claims import LedgerError

#: What every side of a split must hold: somebody to learn from, to select on and to test on.
SIDES = 3
ARITHMETIC, FACT = "arithmetic", "fact about the corpus"


@dataclass(frozen=True)
class Stated:
    """A split as a source states it: where, whether speakers are kept apart, its shares in per cent, its folds."""

    source: str
    place: str
    system: str
    corpora: tuple[str, ...]
    test_percent: str = ""
    folds: str = ""
    speakers_apart: bool = True
    sides: int = SIDES


STATED = (
    Stated("thesis", "Sec. 4.3", "multi-time-scale convolution", ("EmoDb", "RAVDESS", "TESS", "IEMOCAP"), "thesis.set.mts.split-test",
           "thesis.set.mts.n-folds"),
    Stated("thesis", "Sec. 7.3.1", "quaternion anti-transfer, actor split", ("IEMOCAP", "RAVDESS", "EmoDb", "TESS"),
           "thesis.set.qat.split-test"),
    Stated("qat_waspaa2023", "Sec. 3.1", "quaternion anti-transfer, actor split", ("IEMOCAP", "RAVDESS", "TESS"), "qat.set.qat.split-test"),
    Stated("reslstm2026", "Sec. IV-C", "ResLSTM-SA", ("RAVDESS",), folds="reslstm.set.reslstm-sa.n-folds", sides=2),
    Stated("humpcat2025", "Sec. IV-C", "HuMP-CAT", ("IEMOCAP",), "humpcat.set.hump-cat.iemocap-test-speakers",
           "humpcat.set.hump-cat.iemocap-folds"),
)  # fmt: skip
#: Corpora of which HuMP-CAT says that a tenth of the data is for fine-tuning.
FINE_TUNED = ("RAVDESS", "SAVEE", "TESS", "MESD", "ESD")


def checks(printed: Printed) -> pd.DataFrame:
    """One row a stated split and corpus: `source, place, what, corpus, stated, ours, possible, basis, consequence`."""
    rows: list[dict[str, Any]] = []
    for split in STATED:
        if split.folds and split.test_percent:
            rows.append(_folds_cover(printed, split))
        rows += [_sides(printed, split, corpus) for corpus in split.corpora if split.speakers_apart]
    rows += [_fine_tuning(printed, corpus) for corpus in FINE_TUNED]
    return pd.DataFrame(rows)


def speakers(printed: Printed, corpus: str) -> int:
    """How many people a corpus has: of its card or as any source states, the larger (sessions and groups are not people).

    Raises:
        LedgerError: neither says.
    """
    rows = printed.table[(printed.table["metric"] == "n_speakers") & (printed.table["corpus"] == corpus)]
    known = [int(x) for x in rows["x"]]
    if corpus.lower() in card_names():
        known.append(len(load_card(corpus.lower()).speakers))
    if not any(known):
        raise LedgerError(f"no source and no card says how many speakers {corpus} has")
    return max(known)


def _folds_cover(printed: Printed, split: Stated) -> dict[str, Any]:
    """k test sets of a share s test every recording once only if k s = 1."""
    folds, share = printed[split.folds], printed[split.test_percent]
    row = {"source": split.source, "place": split.place, "what": split.system, "corpus": "all"}
    row |= {"stated": f"{folds:.0f} folds, each testing {share:.0f} %", "ours": f"together they test {min(100, folds * share):.0f} %"}
    done = abs(folds * share - 100) < 1e-9
    consequence = "" if done else "a mean over these folds is over part of the recordings; which part is not stated"
    return row | {"possible": done, "basis": ARITHMETIC, "consequence": consequence}


def _sides(printed: Printed, split: Stated, corpus: str) -> dict[str, Any]:
    """Each side needs a speaker of its own, and a share of speakers is a whole number of them."""
    people = speakers(printed, corpus)
    row = {"source": split.source, "place": split.place, "what": split.system, "corpus": corpus}
    row |= {
        "stated": f"speakers apart, {split.sides} sides" + (f", {printed[split.test_percent]:.0f} % test" if split.test_percent else "")
    }
    possible = people >= split.sides
    ours = f"{people} speakers"
    if possible and split.test_percent:
        share = printed[split.test_percent] * people / 100
        ours += f": {share:.3g} in the test" if abs(share - round(share)) < 1e-9 else f": {share:.3g} in the test, so {_whole(share)}"
    consequence = (
        "" if possible else f"speakers must be shared, or {split.sides - people} side has none: the split has to be declared a leak"
    )
    return row | {"ours": ours, "possible": possible, "basis": FACT, "consequence": consequence}


def _fine_tuning(printed: Printed, corpus: str) -> dict[str, Any]:
    people, share = speakers(printed, corpus), printed["humpcat.set.hump-cat.finetune-other"]
    whole = share * people / 100
    possible = whole >= 1 - 1e-9
    consequence = "" if possible else "fewer than one speaker: fine-tuning and test share speakers, or a whole one is given up"
    return {
        "source": "humpcat2025", "place": "Sec. IV-E", "what": "HuMP-CAT, fine-tuning", "corpus": corpus,
        "stated": f"{share:.0f} % of the data", "ours": f"{people} speakers: {whole:.2g} of them",
        "possible": possible, "basis": FACT, "consequence": consequence,
    }  # fmt: skip


def _whole(share: float) -> str:
    low = int(share)
    return f"{low} or {low + 1}" if low else "1"
