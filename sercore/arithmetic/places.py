"""Numbers that two places give differently.

Found in two ways. Facts of a corpus (speakers, recordings, labels) are collected from all places that state them, by the computer. Pairs
of results or settings that are said to be the same thing are named in PAIRS, and compared; those that agree are counted too.
"""

from __future__ import annotations

import pandas as pd

from sercore.arithmetic.rows import Printed
from sercore.data.card import card_names, load_card

FACT_METRICS = ("n_speakers", "n_utterances", "n_emotion_labels", "n_speakers_female", "n_speakers_male")
#: (one id, other id, what both are, what to know): the same quantity in two places.
PAIRS = (
    (
        "thesis.t5.4.at.word-librispeech.iemocap.random.train",
        "thesis.t5.6.gram-matrix.squared-cosine.train",
        "AT, one configuration, train",
        "",
    ),
    (
        "thesis.t5.4.at.word-librispeech.iemocap.random.test",
        "thesis.t5.6.gram-matrix.squared-cosine.test",
        "AT, one configuration, test",
        "",
    ),
    ("thesis.t5.2.librispeech.speech.train", "thesis.t7.1.vgg16.real.word.train", "VGG16, words of LibriSpeech, train", "settings differ"),
    ("thesis.t5.2.librispeech.speech.test", "thesis.t7.1.vgg16.real.word.test", "VGG16, words of LibriSpeech, test", "settings differ"),
    ("thesis.t5.2.iemocap-4-sec.speaker.train", "thesis.t7.1.vgg16.real.speaker.train", "VGG16, speakers of IEMOCAP, train", ""),
    ("thesis.t5.2.iemocap-4-sec.speaker.test", "thesis.t7.1.vgg16.real.speaker.test", "VGG16, speakers of IEMOCAP, test", ""),
    ("thesis.t6.5.ravdess.no-pretraining", "thesis.s6.3.2.improvement.ravdess.no-pre", "RH-emo gain on RAVDESS", ""),
    ("thesis.t6.5.emodb.no-pretraining", "thesis.s6.3.2.improvement.emodb.no-pre", "RH-emo gain on EmoDb", ""),
    ("thesis.t6.5.tess.no-pretraining", "thesis.s6.3.2.improvement.tess.no-pre", "RH-emo gain on TESS", ""),
    ("thesis.t6.5.iemocap.no-pretraining", "thesis.s6.3.2.improvement.iemocap", "RH-emo gain on IEMOCAP", ""),
    ("thesis.t7.6.real", "thesis.s7.4.improvement.real", "mean AT gain, real networks", ""),
    ("thesis.t7.6.quaternion", "thesis.s7.4.improvement.quaternion", "mean AT gain, quaternion networks", "rounded further"),
    ("thesis.t7.6.real", "qat.s3.2.1.improvement.real", "mean AT gain, real networks", "three networks, and VGG16 alone"),
    ("thesis.s7.3.5.time-saving.vgg16", "qat.s3.2.3.time-saving", "time saved by quaternion VGG16", "precomputed embeddings, or not"),
    ("thesis.s7.3.5.memory-saving.vgg16", "qat.s3.2.3.memory-saving", "memory saved by quaternion VGG16", "precomputed embeddings, or not"),
    ("thesis.t6.1.alexnet.rh-emo-quat.iemocap.params", "thesis.t7.2.alexnet.quat.iemocap.params", "quaternion AlexNet, parameters", ""),
    (
        "thesis.t6.2.alexnet.rh-emo-quat.ravdess.params",
        "thesis.t6.2.alexnet.rh-emo-quat-pre.ravdess.params",
        "quaternion AlexNet, parameters",
        "",
    ),
    (
        "thesis.t6.3.alexnet.rh-emo-quat.emodb.params",
        "thesis.t6.3.alexnet.rh-emo-quat-pre.emodb.params",
        "quaternion AlexNet, parameters",
        "",
    ),
    (
        "thesis.t6.4.alexnet.rh-emo-quat.tess.params",
        "thesis.t6.4.alexnet.rh-emo-quat-pre.tess.params",
        "quaternion AlexNet, parameters",
        "",
    ),
    ("thesis.set.qat.batch-size", "thesis.set.qat.memory-batch-size", "batch of training, and of the memory measurement", ""),
    ("thesis.t3.2.ustc-ac.personalized", "thesis.s3.3.1.three-teams", "CCC of the second team", ""),
    ("faca.t1.mhsa-faca.iemocap.wa", "faca.t3.mhsa-faca.iemocap.wa", "MHSA-FACA on IEMOCAP, WA", ""),
    ("faca.t1.mhsa-faca.iemocap.ua", "faca.t3.mhsa-faca.iemocap.ua", "MHSA-FACA on IEMOCAP, UA", ""),
    ("reslstm.t1.reslstm-sa-h64.uar-max", "reslstm.t2.reslstm-sa-h64.uar", "ResLSTM-SA-h64, best seed", ""),
    ("reslstm.abstract.max-uar", "reslstm.t1.reslstm-sa-h64.uar-max", "ResLSTM-SA-h64, abstract and table", ""),
    ("reslstm.t2.alexnet-embeddings-svm.uar", "reslstm.s4d.cnn-range-min", "lowest UAR with a CNN", "an SVM on CNN features"),
    ("humpcat.t3.hubert-base.test", "humpcat.s4c.hubert-base", "HuBERT base on IEMOCAP", ""),
    ("humpcat.t4.prosody-mfcc.test", "humpcat.s4c.prosody-mfcc", "prosody + MFCC on IEMOCAP", ""),
    ("humpcat.t5.hump-cat.ua", "humpcat.s4d.humpcat.ua", "HuMP-CAT on IEMOCAP, UA", ""),
    ("humpcat.t5.hump-cat.wa", "humpcat.s4d.humpcat.wa", "HuMP-CAT on IEMOCAP, WA", ""),
    ("humpcat.t6.hump-cat.emodb", "humpcat.t7.emodb.mfcc-prosody", "HuMP-CAT on EmoDb", ""),
    ("humpcat.t6.hump-cat.emovo", "humpcat.t7.emovo.mfcc-prosody", "HuMP-CAT on EMOVO", ""),
    ("humpcat.t6.hump-cat.ravdess", "humpcat.t7.ravdess.mfcc-prosody", "HuMP-CAT on RAVDESS", ""),
    ("humpcat.t6.hump-cat.tess", "humpcat.t7.tess.mfcc-prosody", "HuMP-CAT on TESS", ""),
    ("humpcat.t6.hump-cat.mesd", "humpcat.t7.mesd.mfcc-prosody", "HuMP-CAT on MESD", ""),
    ("humpcat.t6.hump-cat.emovo", "humpcat.abstract.emovo", "HuMP-CAT on EMOVO, table and abstract", ""),
    ("humpcat.set.hump-cat.mfcc-frame", "humpcat.set.hump-cat.mfcc-window", "length of a frame (ms)", "frame, and window"),
    ("humpcat.t2.esd.utterances", "humpcat.s4a.esd.utterances", "recordings of ESD", "parallel ones in the text"),
)


def pairs(printed: Printed) -> pd.DataFrame:
    """Every pair of PAIRS: `what, one, other` as printed, where, `ids, source, same, note`.

    `same` holds where the values are equal, or where one is the other rounded to fewer digits.
    """
    at = printed.table.set_index("claim_id")
    rows = []
    for one, other, what, note in PAIRS:
        first, second = printed.text(one), printed.text(other)
        rows.append(
            {"what": what, "source": at.loc[one, "source"], "one": first, "where": at.loc[one, "locator"], "other": second,
             "where_other": at.loc[other, "locator"], "source_other": at.loc[other, "source"], "ids": (one, other), "note": note,
             "same": _same(printed[one], printed[other], first, second)}
        )  # fmt: skip
    return pd.DataFrame(rows)


def corpus_facts(printed: Printed) -> pd.DataFrame:
    """Facts of corpora that the places state differently: `corpus, metric, values` (value -> where it stands), `ids`, `card` (ours).

    `source` is the one that differs within itself most; where none does, the one that differs from our card, or has the rarest value.
    """
    rows = printed.table[printed.table["metric"].isin(FACT_METRICS) & printed.table["corpus"].ne("")]
    rows = rows[~rows["note"].str.contains("class=|relation=")]  # parts of a count, and bounds
    lines = []
    for (corpus, metric), stated in rows.groupby(["corpus", "metric"], sort=False):
        if len(set(stated["x"])) > 1:
            where = stated.assign(place=stated["source"] + " " + stated["locator"]).groupby("value", sort=False)["place"].agg(list)
            spread = stated.groupby("source")["x"].nunique()
            known = of_card(corpus, metric)
            rarest = stated["value"].map(stated["value"].value_counts()).idxmin()
            other = stated.index[stated["x"] != known][0] if known is not None else rarest
            source = spread.idxmax() if spread.max() > 1 else stated.loc[other, "source"]
            lines.append({"corpus": corpus, "metric": metric, "values": where.to_dict(), "ids": tuple(stated["claim_id"]), "source": source,
                          "card": known})  # fmt: skip
    return pd.DataFrame(lines)


def of_card(corpus: str, metric: str) -> int | None:
    """A fact of a corpus from its card; None where there is no card.

    Example:
        >>> of_card("RAVDESS", "n_utterances"), of_card("GSC", "n_speakers")
        (1440, None)
    """
    if corpus.lower() not in card_names():
        return None
    card = load_card(corpus.lower())
    return {"n_utterances": card.files, "n_speakers": len(card.speakers), "n_emotion_labels": len(card.emotions)}.get(metric) or None


def _same(one: float, other: float, first: str, second: str) -> bool:
    if one == other:
        return True
    if "e" in first or "e" in second:
        return False
    digits = min(len(text.partition(".")[2]) for text in (first, second))
    return len(first) != len(second) and abs(one - other) <= 0.5 * 10.0**-digits
