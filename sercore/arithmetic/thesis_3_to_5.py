"""What chapters 3 to 5 of the thesis state, computed again from their tables: OMG-Empathy, multi-time-scale convolution, anti-transfer."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import pandas as pd

from sercore.arithmetic import counts
from sercore.arithmetic.ranks import signed_rank_p
from sercore.arithmetic.rows import Printed, best_minus_best, shape
from sercore.arithmetic.statements import Reading, stated

STORIES = (3, 6, 7)
FUSION = {"audio": "audio", "text": "language", "full body": "fullbody", "raw face": "rawface", "landmarks": "landmarks"}


def chapter_3(p: Printed) -> Iterator[Reading]:
    """Means of Table 3.1, the length of the corpus, frames per label and fusion weights."""
    cells = {(s, t): p[f"thesis.t3.1.subject-{s}.story-{t}"] for s in range(1, 11) for t in STORIES}
    for s in range(1, 11):
        yield stated(p, "T3.1", f"subject {s} mean", sum(cells[s, t] for t in STORIES) / 3, f"thesis.t3.1.subject-{s}.subject-avg")
    for t in STORIES:
        mean = sum(cells[s, t] for s in range(1, 11)) / 10
        yield stated(p, "T3.1", f"story {t} mean", mean, f"thesis.t3.1.story-avg.story-{t}")
    overall, story = "thesis.t3.1.story-avg.overall", [p[f"thesis.t3.1.story-avg.story-{t}"] for t in STORIES]
    yield stated(p, "T3.1", "overall mean of the 30 cells", sum(cells.values()) / len(cells), overall, "overall mean")
    yield stated(p, "T3.1", "overall mean of the printed story means", sum(story) / 3, overall, "overall mean")

    seconds, sessions = p["thesis.s3.1.session-duration"], p["thesis.s3.1.sessions"]
    for unit, claim, size in (("min", "total-minutes", 60), ("h", "total-hours", 3600)):
        yield stated(p, "Sec. 3.1", f"80 sessions of 5:12, in {unit}", sessions * seconds / size, f"thesis.s3.1.{claim}")
    margin = p["thesis.t3.2.alpha-city.personalized"] - p["thesis.t3.2.ustc-ac.personalized"]
    yield stated(p, "Sec. 3.3.1", "margin over second team", margin, "thesis.s3.3.1.margin")

    gru = "thesis.set.omg-audio-gru."
    window, overlap, label = (p[gru + name] for name in ("stft-window", "stft-overlap-as-printed", "label-period"))
    frames = gru + "stft-frames-per-label"
    of = "frames per 40 ms label with "
    ids = (frames, gru + "stft-overlap-as-printed")
    yield Reading("Sec. 3.2.1", of + "16 ms window and 10 ms overlap", label / (window - overlap), p.text(frames), ids=ids)
    yield stated(p, "Sec. 3.2.1", of + "a 10 ms hop", label / overlap, frames)

    weights = {name: f"thesis.set.omg-ensemble.weight-{name.replace(' ', '')}" for name in FUSION}
    yield Reading("Sec. 3.2.4", "sum of the five fusion weights", sum(p[i] for i in weights.values()), "1.00", ids=tuple(weights.values()))
    ccc = {name: p[f"thesis.s3.2.val-ccc.{stream}"] for name, stream in FUSION.items()}
    for name, claim in weights.items():
        share = ccc[name] / sum(ccc.values())
        yield stated(p, "Sec. 3.2.4", f"{name} weight if proportional to its validation CCC", share, claim, rule="about")


def chapter_4(p: Printed) -> Iterator[Reading]:
    """Gains of multi-time-scale convolution: speech emotion (4.1), ResNet18 (4.3), speech (4.4) and images (4.5)."""
    mts = p.rows(locator="Table 4.1", method="MTS", metric="accuracy")
    yield stated(p, "Sec. 4.3", "mean MTS gain over 16 cells", mts["gain"].mean(), "thesis.s4.3.mean-improvement")
    spread = p.table.set_index("claim_id").loc["thesis.s4.3.mean-improvement", "spread"]
    for name, ddof in (("sample", 1), ("population", 0)):
        value = float(mts["gain"].std(ddof=ddof))
        yield Reading("Sec. 4.3", f"sd of the gain ({name})", value, spread, "sd of the gain", ("thesis.s4.3.mean-improvement",))
    ravdess, top = mts[mts["corpus"] == "RAVDESS"], "thesis.s4.3.max-improvement"
    best = mts.loc[mts["gain"].idxmax()]
    where = f"{best['corpus'].lower()} {best['architecture'].lower()}"
    yield stated(p, "Sec. 4.3", f"largest cell gain ({where})", best["gain"], top, "maximum gain")
    net = ravdess.loc[ravdess["gain"].idxmax(), "architecture"].lower()
    yield stated(p, "Sec. 4.3", f"largest RAVDESS cell gain ({net})", ravdess["gain"].max(), top, "maximum gain")
    both = p.rows(locator="Table 4.1", corpus="RAVDESS", metric="accuracy")
    yield stated(p, "Sec. 4.3", "RAVDESS best MTS minus best standard", best_minus_best(both, both["method"] == "MTS"), top, "maximum gain")
    yield stated(p, "Sec. 4.3", "number of cells without gain", float((mts["gain"] <= 0).sum()), "thesis.s4.3.n-losses")
    name = "Wilcoxon p over 16 pairs (stated below 0.001)"
    yield stated(p, "Sec. 4.3", name, signed_rank_p(mts["gain"]), "thesis.s4.3.wilcoxon", rule="below")
    yield from _chapter_4_others(p)


def _chapter_4_others(p: Printed) -> Iterator[Reading]:
    section, improvement = "Sec. 4.4", "thesis.s4.4.resnet18.improvement."
    loss = -p.rows(locator="Table 4.3", method="MTS", metric="accuracy").set_index("corpus")["gain"]
    texts = {"EmoDb": "max", "RAVDESS": "ravdess", "TESS": "tess", "IEMOCAP": "iemocap"}
    for corpus, claim in texts.items():
        yield stated(p, section, f"ResNet18 standard minus MTS, {corpus.lower()}", loss[corpus], improvement + claim)
    mean, what = improvement + "mean", "ResNet18 mean difference"
    yield stated(p, section, what + " (table)", loss.mean(), mean, what)
    of_text = sum(p[improvement + claim] for claim in texts.values()) / len(texts)
    yield stated(p, section, what + " (the four values of the text)", of_text, mean, what)

    speech, cells = p.rows(locator="Table 4.4", metric="accuracy"), "thesis.s4.4.speech.improvement."
    lost = -speech["gain"].dropna()
    yield stated(p, section, "speech: largest loss of MTS", lost.max(), cells + "max")
    yield stated(p, section, "speech: mean loss of MTS", lost.mean(), cells + "mean")
    for corpus in ("GSC", "FSDD"):
        rows, name = speech[speech["corpus"] == corpus], corpus.lower()
        mean_loss, best = -rows["gain"].mean(), best_minus_best(rows, rows["method"] == "standard")
        yield stated(p, section, f"speech: {name} mean over architectures (as worded)", mean_loss, cells + name, f"speech gain {name}")
        yield stated(p, section, f"speech: {name} best minus best", best, cells + name, f"speech gain {name}")

    image, of_image, bests = p.rows(locator="Table 4.5", metric="accuracy"), "thesis.s4.4.image.improvement.", []
    for corpus in ("CIFAR10", "MNIST"):
        rows = image[image["corpus"] == corpus]
        bests.append(best_minus_best(rows, rows["method"] == "MTS"))
        yield stated(p, section, f"image: {corpus.lower()} best minus best", bests[-1], of_image + corpus.lower())
    yield stated(p, section, "image: mean of the two", sum(bests) / 2, of_image + "best-mean")
    yield stated(p, section, "image: mean over cells", image["gain"].mean(), of_image + "mean")


def chapter_5(p: Printed) -> Iterator[Reading]:
    """Gains of anti-transfer, the same configuration in two tables, and the memory of its loss."""
    section, of = "Sec. 5.3.3", "thesis.s5.3.3."
    for side in ("test", "train"):
        rows = p.rows(locator=["Table 5.3", "Table 5.4", "Table 5.5"], subset=side, metric="accuracy")
        at = rows[rows["method"].isin(["AT", "Dual AT"])]
        best = at.groupby("compared_to")["x"].max()  # a configuration is what shares one row without transfer
        none = best.index.map(p.values)
        gain = best - none
        wi = rows[rows["method"] == "WI"].groupby("compared_to")["x"].max().reindex(best.index)
        tables = gain.groupby(best.index.str.extract(r"^thesis\.(t5\.\d)", expand=False).to_numpy()).mean()
        claim, what = f"{of}mean-{side}-improvement", f"mean {side} gain"
        readings = {
            f"best AT per configuration ({len(gain)} configurations)": gain.mean(),
            f"every AT row ({len(at)} rows)": at["gain"].mean(),
            "mean of the three task means": tables.mean(),
            "best AT against best of none and WI": (best - pd.concat([pd.Series(none, best.index), wi], axis=1).max(axis=1)).mean(),
        }
        for how, value in readings.items():
            yield stated(p, section, f"{what}, {how}", value, claim, what)
        yield stated(p, section, f"largest {side} gain", at["gain"].max(), f"{of}max-{side}-improvement")
        if side == "test":
            name = f"Wilcoxon p over {len(at)} pairs (stated below 0.001)"
            yield stated(p, section, name, signed_rank_p(at["gain"]), of + "wilcoxon", rule="below")
    beta = p["thesis.t5.6.gram-matrix.squared-cosine.test"] - p["thesis.t5.4.none.iemocap.random.test"]
    yield stated(p, "Sec. 5.4.6", "gain with beta 1 (stated about 3)", beta, "thesis.s5.4.6.beta-gain")
    for side in ("train", "test"):
        one, other = f"thesis.t5.4.at.word-librispeech.iemocap.random.{side}", f"thesis.t5.6.gram-matrix.squared-cosine.{side}"
        name = f"same configuration, {side} accuracy (T5.4 against T5.6)"
        yield Reading("T5.4/T5.6", name, p[other], p.text(one), ids=(one, other))
    yield from _memory(p)


def _memory(p: Printed) -> Iterator[Reading]:
    """Eq. 5.4: Gram matrix and feature map of a layer, at the printed shapes."""
    section, of = "Sec. 5.4.7", "thesis.s5.4.7."
    size, pair, batch = p[of + "bytes-per-number"], p[of + "pair-factor"], p["thesis.set.at.batch-size"]
    for layer in ("first", "last"):
        dimensions = shape(p.text(f"{of}{layer}-layer-shape"))
        megabytes = (dimensions[1] ** 2 + prod(dimensions)) * size / 1e6
        claim, what = f"{of}{layer}-layer-memory", f"{layer} layer memory"
        yield stated(p, section, f"{layer} layer, (G+F) x 4 bytes, batch 1, MB", megabytes, claim, what)
        yield stated(p, section, f"{layer} layer, 2 (G+F) x 4 bytes, batch 13, MB", pair * batch * megabytes, claim, what)
    network, extractor = counts.vgg16(classes=10, positions=7 * 7), counts.vgg16_features()
    yield stated(p, section, "VGG16 with 10 classes, float32 weights, MB", network * size / 1e6, of + "network-memory")
    yield stated(p, section, "VGG16 convolutional part, float32 weights, MB", extractor * size / 1e6, of + "extractor-memory")
