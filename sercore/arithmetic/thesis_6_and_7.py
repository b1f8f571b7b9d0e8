"""What chapters 6 and 7 of the thesis and the WASPAA paper state, computed again: RH-emo and quaternion anti-transfer."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sercore.arithmetic import counts
from sercore.arithmetic.columns import chapter_6_twins
from sercore.arithmetic.ranks import signed_rank_p
from sercore.arithmetic.rows import Printed, best_minus_best, shape
from sercore.arithmetic.statements import Reading, stated

TABLES_6 = ("Table 6.1", "Table 6.2", "Table 6.3", "Table 6.4")
TABLES_7 = ("Table 7.2", "Table 7.3", "Table 7.4", "Table 7.5")
CORPORA = ("IEMOCAP", "RAVDESS", "EmoDb", "TESS")


def chapter_6(p: Printed) -> Iterator[Reading]:
    """Table 6.5, shares of memory and parameters, sizes of VGG16, and the Wilcoxon test."""
    for corpus in CORPORA:
        rows = p.rows(locator=TABLES_6, corpus=corpus, subset="test", domain=("real", "quaternion"))
        gain, pretrained = rows["gain"], rows["method"].str.endswith("-Pre")
        name, cells = corpus.lower(), {"no-pretraining": (gain[~pretrained], "without CNN pretraining")}
        if pretrained.any():
            cells |= {"pretraining": (gain[pretrained], "with CNN pretraining"), "overall": (gain, "overall")}
        for cell, (values, words) in cells.items():
            yield stated(p, "T6.5", f"{name} {words}", values.mean(), f"thesis.t6.5.{name}.{cell}")
        best = best_minus_best(rows, rows["domain"] == "quaternion")
        yield stated(p, "T6.5", f"{name} best minus best", best, f"thesis.t6.5.{name}.best")
    yield from _shares(p)
    yield from _sizes(p)
    yield from _wilcoxon_6(p)


def _shares(p: Printed) -> Iterator[Reading]:
    of, nets = "thesis.s6.5.1.", ("vgg16", "alexnet", "resnet-50")
    memory = [p[f"{of}memory.{net}"] for net in nets]
    yield stated(p, "Sec. 6.5.1", "mean memory share of the three architectures", sum(memory) / 3, of + "memory.mean")
    plain = {net: (f"thesis.t6.2.{net}.real.ravdess.params", f"thesis.t6.2.{net}.rh-emo-quat.ravdess.params")
             for net in ("vgg16", "alexnet", "resnet")}  # fmt: skip
    share = {net: 100 * p[quaternion] / p[real] for net, (real, quaternion) in plain.items()}
    savings = {
        "params": ("parameter", 100 - share["vgg16"]),
        "time": ("training-time", 100 - min(p[f"{of}epoch.{net}"] for net in nets)),
        "memory": ("memory", 100 - min(memory)),
    }
    for claim, (words, value) in savings.items():
        yield stated(p, "Sec. 6.6", f"largest {words} saving, percent", value, f"thesis.s6.6.{claim}")
    alexnet, what = of + "params.alexnet", "AlexNet parameter share"
    yield stated(p, "Sec. 6.5.1", f"{what}, T6.1-6.4 no pretraining (1e7/5.7e7), percent", share["alexnet"], alexnet, what)
    pretrained = 100 * p["thesis.t6.2.alexnet.rh-emo-quat-pre.ravdess.params"] / p["thesis.t6.2.alexnet.real-pre.ravdess.params"]
    yield stated(p, "Sec. 6.5.1", f"{what}, pretrained rows (1.4e7/5.7e7), percent", pretrained, alexnet, what)
    yield stated(p, "Sec. 6.5.1", "ResNet-50 parameter share (4.9e6/2.3e7), percent", share["resnet"], of + "params.resnet-50")
    yield stated(p, "Sec. 6.5.1", "VGG16 parameter share (1e7/1.6e8), percent", share["vgg16"], of + "params.vgg16")


def _sizes(p: Printed) -> Iterator[Reading]:
    """512 x 128 spectrogram: five halvings leave 16 x 4 places; the 64 x 64 embedding leaves 2 x 2."""
    frames, bins = (int(p[f"thesis.set.rhemo.spectrogram-{name}"]) for name in ("time-steps", "bins"))
    embedding = shape("64x64")
    reduction = 100 * (1 - embedding[0] * embedding[1] / (frames * bins))
    name = "VGG16 feature-map reduction 64x64 against 512x128 input, percent"
    yield stated(p, "Sec. 6.3.1", name, reduction, "thesis.s6.3.1.feature-reduction")
    places, few, classes = frames * bins // 32**2, embedding[0] * embedding[1] // 32**2, int(p["thesis.set.rhemo.n-classes"])
    quarter = places // 4  # were the map 75 % smaller
    sizes: list[tuple[str, str, int, float, str]] = [
        ("VGG16 real", "real, no average pooling, 4 classes (count / 1e8)", counts.vgg16(classes, places), 1e8, "vgg16.real"),
        ("VGG16 real", "real, 7x7 average pooling kept (count / 1e8)", counts.vgg16(classes, 49), 1e8, "vgg16.real"),
        ("VGG16 quaternion", "quaternion, 4x64x64 embedding, no pooling (count / 1e7)",
         counts.vgg16(classes, few, 4, 4), 1e7, "vgg16.rh-emo-quat"),
        ("VGG16 quaternion", "quaternion if the feature map were 75 % smaller only (count / 1e7)",
         counts.vgg16(classes, quarter, 4, 4), 1e7, "vgg16.rh-emo-quat"),
    ]  # fmt: skip
    for what, words, count, unit, row in sizes:
        claim = f"thesis.t6.1.{row}.iemocap.params"
        yield Reading("T6.x", f"VGG16 {words}", count / unit, _mantissa(p.text(claim)), f"{what} parameters", (claim,), decimals=1)
    heads = counts.four_heads(embedding[0] * embedding[1], counts.HIDDEN, classes) / 1e8
    claim = "thesis.t6.1.rh-emo.iemocap.params"
    yield Reading("T6.1", "RH-emo, four classifiers 4096-4096-4096 (count / 1e8)", heads, _mantissa(p.text(claim)), ids=(claim,))


def _wilcoxon_6(p: Printed) -> Iterator[Reading]:
    rows = p.rows(locator=TABLES_6, subset="test", domain=("real", "quaternion"))
    best = rows.pivot_table(index=["corpus", "architecture"], columns="domain", values="x", aggfunc="max")
    difference = best["quaternion"] - best["real"]
    without = difference.drop("IEMOCAP", level="corpus")
    pairs = {"best per corpus and network, with IEMOCAP": difference, "best per corpus and network, without IEMOCAP": without,
             "every real/quaternion pair": rows["gain"].dropna()}  # fmt: skip
    for words, values in pairs.items():
        claim = "thesis.s6.3.2.wilcoxon"
        yield stated(
            p, "Sec. 6.3.2", f"Wilcoxon p, {words} ({_nonzero(values)} non-zero pairs)", signed_rank_p(values), claim, "Wilcoxon p"
        )


def chapter_7(p: Printed) -> Iterator[Reading]:
    """Mean gains of Table 7.6 and Sec. 7.3.3, its Wilcoxon test, savings, and the baselines of chapter 6."""
    rows = p.rows(source="thesis", locator=TABLES_7, subset="test")
    of, section = "thesis.t7.6.", "thesis.s7.3.3.improvement."
    names = {"real": of + "real", "quaternion": of + "quaternion", "single": of + "single", "dual": of + "dual", "random": of + "random",
             "speaker split": of + "speaker", "speaker task": of + "speaker-task", "word task": of + "word-task"}  # fmt: skip
    names |= {net: of + net.lower() for net in ("VGG16", "AlexNet", "ResNet-50")} | {c: section + c.lower() for c in CORPORA}
    yield from _mean_gains(p, rows, "T7.6 / Sec. 7.3.3", names)

    with_at = rows.assign(at=rows["at_type"].ne(""))
    levels = {"corpus, network, domain and split": ["corpus", "architecture", "domain", "split"],
              "corpus, network and split": ["corpus", "architecture", "split"], "corpus and split": ["corpus", "split"]}  # fmt: skip
    for words, keys in levels.items():
        best = with_at.pivot_table(index=keys, columns="at", values="x", aggfunc="max")
        gain = best[True] - best[False]
        name = f"Wilcoxon p, best per {words} ({_nonzero(gain)} non-zero pairs; stated below 0.001)"
        yield stated(p, "Sec. 7.3.3", name, signed_rank_p(gain), "thesis.s7.3.3.wilcoxon", "Wilcoxon p", "below")

    saved, share = p["thesis.s7.3.5.memory-reduction-precomputed.vgg16"], p["thesis.s7.3.5.memory-saving.vgg16"]
    percent = 100 * p["thesis.s7.3.5.memory-reduction.vgg16"] / (100 * saved / share)
    name = "6677 MB as share, if 77.6 % saving holds: real total MB; 4620 MB then is percent"
    yield stated(p, "Ch. 6/7", name, percent, "qat.s3.2.3.memory-saving")
    twins = chapter_6_twins(p)
    name = "chapter 7 random-split baselines equal to chapter 6 test accuracies"
    yield Reading("T6.x/T7.x", name, float(twins["equal"].sum()), str(len(twins)), ids=tuple(twins["claim_id"]))


def waspaa(p: Printed) -> Iterator[Reading]:
    """The same mean gains in the WASPAA paper, from its own table."""
    rows, of = p.rows(source="qat_waspaa2023", locator="Table 1", subset="test"), "qat.s3.2.1.improvement."
    names = {
        n: of + n.replace(" ", "-")
        for n in ("real", "quaternion", "single", "dual", "random", "speaker split", "speaker task", "word task")
    }
    yield from _mean_gains(p, rows, "WASPAA Sec. 3.2.1", names | {c: of + c.lower() for c in CORPORA if c != "EmoDb"})


def gains(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Mean gain of the AT rows over their own row without AT, for each group that the text names; several readings for the tasks."""
    at = rows[rows["at_type"] != ""]
    kind = at["at_type"]
    masks = {"real": at["domain"] == "real", "quaternion": at["domain"] == "quaternion", "single": kind.str.startswith("single"),
             "dual": kind.str.startswith("dual"), "random": at["split"] == "random", "speaker split": at["split"] == "speaker"}  # fmt: skip
    masks |= {net: at["architecture"] == net for net in at["architecture"].unique()}
    masks |= {corpus: at["corpus"] == corpus for corpus in at["corpus"].unique()}
    found = {name: {"": float(at.loc[mask, "gain"].mean())} for name, mask in masks.items()}
    for task, letter in (("speaker task", "s"), ("word task", "w")):
        other = "w" if letter == "s" else "s"
        ways = {"single rows": [f"single-{letter}"], "first task, dual included": [f"single-{letter}", f"dual-{letter}{other}"],
                "last task, dual included": [f"single-{letter}", f"dual-{other}{letter}"]}  # fmt: skip
        found[task] = {way: float(at.loc[kind.isin(kinds), "gain"].mean()) for way, kinds in ways.items()}
    return found


def _mean_gains(p: Printed, rows: pd.DataFrame, area: str, names: dict[str, str]) -> Iterator[Reading]:
    found = gains(rows)
    for name, claim in names.items():
        for way, value in found[name].items():
            quantity = f"mean AT gain, {name}" + (f" ({way})" if way else "")
            yield stated(p, area, quantity, value, claim, f"mean AT gain, {name}")


def _nonzero(values: pd.Series) -> int:
    return int((values.abs() > 1e-9).sum())


def _mantissa(text: str) -> str:
    """1.6 of 1.6e8."""
    return text.partition("e")[0]
