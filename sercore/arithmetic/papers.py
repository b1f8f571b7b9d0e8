"""What the FACA, ResLSTM-SA and HuMP-CAT papers state, computed again from their own rows."""

from __future__ import annotations

from collections.abc import Iterator

from sercore.arithmetic import counts
from sercore.arithmetic.rows import Printed, best_minus_best
from sercore.arithmetic.statements import Reading, stated
from sercore.data.card import load_card

SIZES = ("h32", "h64", "h128")


def faca(p: Printed) -> Iterator[Reading]:
    """Margins over cited systems and between ablations; the class counts."""
    for corpus, locator in (("IEMOCAP", "Table 1"), ("RAVDESS", "Table 2")):
        for metric in ("wa", "ua"):
            rows = p.rows(source="faca2022", locator=locator, metric=metric)
            margin = best_minus_best(rows, rows["system"] == "mhsa-faca")
            yield stated(p, "FACA", f"{corpus} {metric.upper()} margin", margin, f"faca.s4.2.margin.{corpus.lower()}.{metric}")
    for step, (new, old) in {"fa": ("mhsa-fa", "bmhsa"), "ca": ("mhsa-faca", "mhsa-fa")}.items():
        for metric in ("wa", "ua"):
            gain = p[f"faca.t3.{new}.iemocap.{metric}"] - p[f"faca.t3.{old}.iemocap.{metric}"]
            words = "FA over BMHSA" if step == "fa" else "CA over FA"
            yield stated(p, "FACA", f"{words}, {metric.upper()}", gain, f"faca.s4.3.{step}.{metric}")
    classes = p.rows(source="faca2022", locator="Sec. 4.1", corpus="IEMOCAP", metric="n_utterances")
    other = "humpcat.t2.iemocap.utterances"
    yield stated(p, "FACA", "sum of the four IEMOCAP class counts (5531 in HuMP-CAT)", classes["x"].sum(), other)


def reslstm(p: Printed) -> Iterator[Reading]:
    """Gains, ratios and parameter counts of Table I; the two shares of the confusion matrix."""

    def uar(name: str, kind: str = "mean") -> float:
        return 100 * p[f"reslstm.t1.{name}.uar-{kind}"]

    for kind in ("mean", "max"):
        gain = max(uar(f"reslstm-sa-{h}", kind) - uar(f"lstm-sa-{h}", kind) for h in SIZES)
        what = "largest gain over hidden sizes"
        yield stated(p, "ResLSTM", f"{what}, {kind} UAR", gain, "reslstm.s4d.max-gain", what)
    small, middle, large = uar("reslstm-sa-h32"), uar("reslstm-sa-h64"), uar("lstm-sa-h128")
    what, claim = "Res-h32 over LSTM-h128", "reslstm.s4d.h32-vs-h128"
    yield stated(p, "ResLSTM", f"{what}, percentage points", small - large, claim, what)
    yield stated(p, "ResLSTM", f"{what}, relative percent", 100 * (small / large - 1), claim, what)
    yield stated(p, "ResLSTM", "Res-h64 over LSTM-h128, percentage points", middle - large, "reslstm.s5.h64-vs-h128")

    def printed(name: str) -> str:
        return f"reslstm.t1.{name}.params"

    ratio = p[printed("lstm-sa-h128")] / p[printed("reslstm-sa-h32")]
    yield stated(p, "ResLSTM", "LSTM-h128 / Res-h32 parameters (stated just under 3)", ratio, "reslstm.s4d.h32-param-ratio", rule="below")
    half = p[printed("reslstm-sa-h64")] / p[printed("lstm-sa-h128")]
    name = "Res-h64 / LSTM-h128 parameters (stated about half)"
    yield Reading("ResLSTM", name, half, "0.5", ids=("reslstm.s5.h64-param-ratio",))
    yield from _parameters(p)

    emotions = load_card("ravdess").emotions
    for what, emotion, claim in (("happy recall", "happiness", "recall.happy"), ("neutral to happy", "neutral", "confusion.neutral-happy")):
        n, share = emotions[emotion], p[f"reslstm.s4d.{claim}"]
        nearest = 100 * round(share / 100 * n) / n
        yield stated(p, "ResLSTM", f"{what} as k of {n}", nearest, f"reslstm.s4d.{claim}")


def _parameters(p: Printed) -> Iterator[Reading]:
    """Networks as the text describes them (LSTMs with two biases, one attention vector, a linear layer), in thousands, and with the batch
    normalisations of the features and of the context: its Fig. 2 has the first, the text neither."""
    inputs, classes = int(p["reslstm.set.reslstm-sa.feature-dims"]), int(p["reslstm.s4a.ravdess.emotions"])
    first = counts.lstm(inputs, inputs) / 1000
    for size in SIZES:
        plain, residual = (f"reslstm.t1.{name}-{size}.params" for name in ("lstm-sa", "reslstm-sa"))
        added = f"{(p[residual] - p[plain]) / 1000:.1f}"
        name = f"{size}: parameters added by the first LSTM, k (4*46*92+8*46 = 17.296)"
        yield Reading("ResLSTM", name, first, added, ids=(residual, plain), slack=0.1)
        described = counts.lstm_with_attention(inputs, int(size[1:]), classes) / 1000
        words = "parameters, k (LSTM two biases + attention vector + 8-class layer)"
        what, context = f"LSTM-SA-{size} {words}", 2 * int(size[1:]) / 1000
        yield Reading("ResLSTM", what, described, _thousands(p, plain), what, (plain,))
        yield Reading("ResLSTM", f"{what}, with batch normalisation", described + context, _thousands(p, plain), what, (plain,))
        what = f"ResLSTM-SA-{size} parameters, k"
        yield Reading("ResLSTM", what, described + first, _thousands(p, residual), what, (residual,))
        features = 2 * inputs / 1000
        normalised = f"{what}, with two batch normalisations"
        yield Reading("ResLSTM", normalised, described + first + context + features, _thousands(p, residual), what, (residual,))


def humpcat(p: Printed) -> Iterator[Reading]:
    """The headline mean, values that two places give, and counts."""
    targets = p.rows(source="humpcat2025", locator="Table VI", system="hump-cat")
    mean, what = "humpcat.abstract.mean-accuracy", "mean UA over seven targets"
    yield stated(p, "HuMP-CAT", "mean UA over the seven targets (Table VI)", targets["x"].mean(), mean, what)
    other = targets["x"].where(targets["corpus"] != "EMOVO", p["humpcat.t7.emovo.mfcc-prosody"]).mean()
    yield stated(p, "HuMP-CAT", "mean UA with EMOVO 75.48 of Table VII", other, mean, what)
    pairs = {"Prosody + MFCC test UA (text against Table IV)": ("humpcat.s4c.prosody-mfcc", "humpcat.t4.prosody-mfcc.test"),
             "EMOVO (Table VI against Table VII)": ("humpcat.t6.hump-cat.emovo", "humpcat.t7.emovo.mfcc-prosody")}  # fmt: skip
    for name, (one, two) in pairs.items():
        yield Reading("HuMP-CAT", name, p[two], p.text(one), ids=(one, two))
    mesd = sum(p[f"humpcat.s4a.mesd.{who}"] for who in ("female", "male", "child"))
    yield stated(p, "HuMP-CAT", "MESD speakers 3 F + 2 M + 6 children", mesd, "humpcat.t2.mesd.speakers")
    speakers, sentences, emotions = (p[f"humpcat.{i}"] for i in ("t2.emovo.speakers", "s4a.emovo.sentences", "s4a.emovo.emotions"))
    product = speakers * sentences * emotions
    yield stated(p, "HuMP-CAT", "EMOVO utterances 6 speakers x 14 x 7", product, "humpcat.s4a.emovo.records")
    emodb = p["humpcat.s4a.emodb.male-sentences"] + p["humpcat.s4a.emodb.female-sentences"]
    yield stated(p, "HuMP-CAT", "EmoDb utterances 233 + 302", emodb, "humpcat.s4a.emodb.sentences")
    of = "humpcat.set.hump-cat."
    mfcc = p[of + "n-mfcc"] + p[of + "n-mfcc-derivatives"] + 1  # and the energy
    yield stated(p, "HuMP-CAT", "MFCC 12 + 26 derivatives + energy", mfcc, of + "n-spectral-features")


def _thousands(p: Printed, claim: str) -> str:
    """28.0 of 28.0e3."""
    return p.text(claim).partition("e")[0]
