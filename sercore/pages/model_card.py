"""The model card of a shipped model: Markdown, made from the stored rows, the corpus card and what was measured when it was shipped."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercore import stats
from sercore.data.card import Card, load_card
from sercore.errors import StoreError
from sercore.ledger import label
from sercore.metrics import recalls_from_counts
from sercore.predict.novelty import CHECKS, DURATION_MARGIN, LEVEL_MARGIN_DB, QUANTILE
from sercore.predict.shipping import KNOWN_SOUNDS, MEASURED
from sercore.predict.sounds import KINDS
from sercore.predict.trained import SHIPPED
from sercore.results import Results, load_results
from sercore.stats import Cube, Interval

FILE = "MODEL_CARD.md"


def write(name: str, folder: Path | None = None) -> Path:
    """Write the card beside the weights.

    Args:
        name: of a shipped model.
        folder: of the shipped models; None takes the package's.

    Returns:
        The file.

    Raises:
        StoreError: as `text`.
    """
    path = (folder or SHIPPED) / name / FILE
    beside = path.with_name(f"{FILE}.{os.getpid()}")
    beside.write_text(text(name, folder), encoding="utf-8")
    os.replace(beside, path)
    return path


def is_current(name: str, folder: Path | None = None) -> bool:
    """Is the card beside the weights the one that the stored rows give?"""
    path = (folder or SHIPPED) / name / FILE
    return path.is_file() and path.read_text(encoding="utf-8") == text(name, folder)


def text(name: str, folder: Path | None = None) -> str:
    """The card, all of it: every number is computed from the stored rows or read from `model.json`.

    Args:
        name: of a shipped model.
        folder: of the shipped models; None takes the package's.

    Raises:
        StoreError: no such model, or its group has no stored rows.
    """
    home = (folder or SHIPPED) / name
    try:
        model = json.loads((home / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"there is no shipped model {name} ({home.name}/model.json cannot be read): `sercore ship {name}` makes it"
        ) from error
    results = load_results(model["chapter"])
    mine = results.of(group=model["group"])
    if mine.groups.empty:
        raise StoreError(f"{model['group']} has no stored rows: publish it first")
    group, corpus = mine.groups.iloc[0], load_card(mine.groups.iloc[0]["corpus"])
    cube = stats.cube(mine.counts, model["group"])
    parts = [
        _head(model, group, corpus),
        _uses(corpus, stats.bootstrap(cube)),
        _data(corpus, group, mine.specs[model["group"]]),
        _results(results, model, group, cube),
        _confusion(cube),
        _groups_of_speakers(cube, corpus),
        _speakers(cube, corpus),
        _together(model),
        _novelty(model, corpus),
        _training(model, mine),
        _cite(corpus),
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table; bars in cells are escaped.

    Example:
        >>> print(markdown_table([{"a": 1, "b": "x|y"}]))
        | a | b |
        | --- | --- |
        | 1 | x\\|y |
    """
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(value).replace("|", "\\|") for value in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _head(model: dict, group: pd.Series, corpus: Card) -> str:
    n = len(model["networks"])
    return f"""# {label(group["system"])} on {corpus.name}

Shipped model `{model["name"]}`: {n} networks of {int(group["parameters"]):,} parameters, one a fold (seed {model["seed"]}: fixed by its
number, not by its score), that name one of {len(model["labels"])} emotions from the sound of a recording:
{", ".join(model["labels"])}.

```
sercore predict {model["name"]} my_recording.wav
sercore predict {model["name"]}.fold_0 my_recording.wav --json
```

The first averages the class scores of all {n} networks, the second asks one of them."""


def _uses(corpus: Card, interval: Interval) -> str:
    wrong = 100 * (1 - interval.estimate)
    return f"""## What it is for, and what it is not for

For research on speech emotion recognition and for teaching: to check this study, to compare a method with it, to see what a small network
hears. Licence: that of the project for its code; the weights learnt from recordings under *{corpus.licence}*: treat them as under those
terms, for non-commercial research (`DATA_LICENCES.md`).

**Not for decisions about people**: not in hiring, schooling, policing, health, insurance, call centres or any place where something depends
on the answer. The reasons:

- It learnt from **actors who were asked to portray** emotions. A portrayed emotion is not a felt one, and what people feel is not heard in
  a single recording; the label says what was asked of the actor.
- It learnt from **{len(corpus.speakers)} speakers** of one language ({", ".join(corpus.languages)}) in one studio. Nothing is known about
  other languages, ages, microphones, rooms, illnesses or accents.
- On speakers it has not heard it is **wrong about {wrong:.0f} times in 100** even in that studio (average over the emotions), and
  much more often for some speakers and some emotions (below).
- A class score is not a probability of being right: it has not been calibrated.
- In the European Union, inferring emotions at work and in education is prohibited with few exceptions (Regulation (EU) 2024/1689,
  Article 5). This is no legal advice."""


def _data(corpus: Card, group: pd.Series, spec: dict) -> str:
    caveats = "\n".join(f"- {' '.join(c.split())}" for c in corpus.caveats)
    features, women = spec["features"], sum(gender == "female" for gender in corpus.genders.values())
    return f"""## Data and protocol

{corpus.title}: {int(group["n_items"])} recordings of {int(group["n_speakers"])} speakers ({women} women,
{len(corpus.genders) - women} men), licence *{corpus.licence}*.
{" ".join(corpus.label_process.split())} Consent: {" ".join(corpus.consent.split())} No recording ships with the project.

{caveats}

Protocol `{group["protocol"]}`, {int(group["folds"])} folds (`{group["split"]}`): the speakers of the test side speak neither in
training nor in validation; feature means and deviations come from the training side alone; the epoch is chosen on validation speakers, and
so were the hyper-parameters. Validation speakers of one fold are tested in another, so the search has seen them: a small optimism remains.

Input: {features["n_mfcc"]} cepstral coefficients and {features["n_chroma"]} chroma values every {features["hop_ms"]:.1f} ms (window
{features["window_ms"]:.1f} ms) of mono sound at {corpus.sample_rate_hz} Hz; other rates are resampled."""


def _results(results: Results, model: dict, group: pd.Series, cube: Cube) -> str:
    beside = results.of(corpus=group["corpus"], protocol=group["protocol"], split=group["split"]).groups
    rows = []
    for row in beside.to_dict("records"):
        other = stats.cube(results.counts, row["group"])
        shown: dict[str, Any] = {"system": label(row["system"]), "UAR [95 %]": _interval(stats.bootstrap(other))}
        shown |= {"accuracy [95 %]": _interval(stats.bootstrap(other, "accuracy")), "seeds": len(other.seeds)}
        rows.append(shown)
    spread, mine = stats.spreads(cube), cube.scores().mean()
    plain = beside[beside["system"].eq("functionals_svm")]["group"]
    better = [name for name in plain if stats.cube(results.counts, name).scores().mean() > mine]
    scale = "\n\n**The plain machine (utterance functionals and an SVM) has the higher mean here.**" if better else ""
    low, high = cube.scores().min(), cube.scores().max()
    return f"""## Results

Unweighted average recall (UAR: the mean of the recalls of the {len(cube.labels)} emotions; chance is {100 / len(cube.labels):.1f} %) on
speakers that the network has not heard, pooled over folds, mean over seeds; the interval is over speakers and their recordings.

{markdown_table(rows)}{scale}

Spread of the UAR over seeds: {100 * spread["seed_sd"]:.1f} points (standard deviation; {100 * low:.1f} to {100 * high:.1f} %). Spread over
speakers: {100 * spread["speaker_sd"]:.1f} points. The shipped networks are seed {model["seed"]}, whose UAR is
{100 * cube.scores()[cube.seeds.index(model["seed"])]:.1f} %."""


def _confusion(cube: Cube) -> str:
    pooled = cube.counts.sum(axis=(0, 1))
    shares = 100 * pooled / pooled.sum(axis=1, keepdims=True)
    rows = [
        {"asked for": truth, **{said: f"{shares[i, j]:.0f}" for j, said in enumerate(cube.labels)}} for i, truth in enumerate(cube.labels)
    ]
    return f"""## What it takes for what

Per cent of the recordings of the emotion in the row that are named as the emotion in the column (all seeds; each row adds up to 100).

{markdown_table(rows)}"""


def _groups_of_speakers(cube: Cube, corpus: Card) -> str:
    rows, intervals = [], []
    for gender in ("female", "male"):
        who = [k for k, speaker in enumerate(cube.speakers) if corpus.genders[speaker] == gender]
        part = Cube(cube.counts[:, who], cube.seeds, tuple(cube.speakers[k] for k in who), cube.labels)
        recalls = recalls_from_counts(part.counts.sum(axis=(0, 1)))
        hardest = int(np.nanargmin(recalls))
        intervals.append(stats.bootstrap(part))
        row = {"speakers": f"{len(who)} {gender}", "recordings": part.n_items, "UAR [95 %]": _interval(intervals[-1])}
        rows.append(row | {"least recognised": f"{cube.labels[hardest]} ({100 * recalls[hardest]:.0f} %)"})
    women, men = intervals
    gap = 100 * (women.estimate - men.estimate)
    meet = "overlap" if max(women.low, men.low) <= min(women.high, men.high) else "do not overlap"
    return f"""## Women and men

The corpus names two genders. Women are recognised {abs(gap):.1f} points {"better" if gap > 0 else "worse"} than men; the intervals
{meet}. With so few speakers a gap between groups is partly one between persons (below).

{markdown_table(rows)}"""


def _speakers(cube: Cube, corpus: Card) -> str:
    rows = [
        {
            "speaker": f"{row['speaker']} ({corpus.genders[row['speaker']]})",
            "recordings": row["items"],
            "UAR, %": f"{100 * row['uar']:.1f}",
            "over seeds, %": f"{100 * row['lowest_seed']:.1f} to {100 * row['highest_seed']:.1f}",
        }
        for row in stats.per_speaker(cube).to_dict("records")
    ]
    return f"""## Each speaker

Mean over seeds, and lowest and highest seed. Speakers without a recording of an emotion are averaged over the others.

{markdown_table(rows)}"""


def _together(model: dict) -> str:
    n = len(model["networks"])
    lines = [
        "## All networks together, and another corpus",
        f"The numbers above are of single networks on speakers they have not heard. The average of all {n} cannot be measured on this "
        "corpus, because each of its recordings trained some of them (`sercore predict` says so when it is given one); no better score is "
        "claimed for it.",
    ]
    for row in model.get("cross_corpus", []):
        lines.append(
            f"On {row['corpus']}, which none of them has heard, the average of all {n} has a UAR of **{100 * row['uar']:.1f} %** over the "
            f"{len(row['emotions'])} emotions that both have ({', '.join(row['emotions'])}; {row['recordings']} recordings of "
            f"{row['speakers']} speakers, {100 * row['lowest_speaker']:.0f} to {100 * row['highest_speaker']:.0f} % by speaker; guessing "
            f"among these would give {100 / len(row['emotions']):.1f} %, and an answer outside them counts as wrong). These are acted "
            "recordings of a studio too; others may fare worse."
        )
    return "\n\n".join(lines)


def _novelty(model: dict, corpus: Card) -> str:
    rates = model["novelty"]["rates"]
    false, hits = ([r for r in rates if r["kind"] == kind] for kind in ("false alarms", "hits"))
    limits = pd.DataFrame([network["familiar"] for network in model["networks"]])
    known = {**KNOWN_SOUNDS, **KINDS}
    return f"""## When it says that a recording is unlike its training recordings

Six checks: *silence*, *level* (more than {LEVEL_MARGIN_DB:.0f} dB outside {limits["quietest_dbfs"].min():.0f} to
{limits["loudest_dbfs"].max():.0f} dBFS), *clipping*, *duration* (more than {100 * DURATION_MARGIN:.0f} % outside
{limits["shortest_s"].min():.2f} to {limits["longest_s"].max():.2f} s), *bandwidth* (sampled below {corpus.sample_rate_hz} Hz), and
*spectrum*: Mahalanobis distance of the means and deviations of the features over time, with a shrunk covariance, beyond the value that
{100 * QUANTILE:.0f} % of training recordings keep when their own speaker is left out. Limits come from the training side alone, each
fold's from its own; given here are the widest.

False alarms, measured on the test speakers, whom neither the network nor its check has seen; per cent of the recordings:

{markdown_table([_shares(row, known, corpus.name) for row in false])}

Hits, measured with all networks together (a check fires where most networks' checks do), on at most {MEASURED} recordings of each kind:

{markdown_table([_shares(row, known, corpus.name) for row in hits])}

A recording that passes is not thereby understood: the checks see the sound, not whether the emotion is acted or the language is known."""


def _shares(row: dict, known: dict[str, str], own: str) -> dict[str, Any]:
    share = {check: f"{100 * row[check] / row['recordings']:.1f}" for check in ("any", *CHECKS)}
    name = row["sounds"].removeprefix(f"{own}, ")
    return {"sounds": f"{name}: {known[name]}" if name in known else name, "recordings": row["recordings"], **share}


def _training(model: dict, mine: Results) -> str:
    training, spec, runs = mine.specs[model["group"]]["training"], mine.specs[model["group"]], mine.runs
    shipped = runs[runs["run_id"].isin([network["run_id"] for network in model["networks"]])].sort_values("fold")
    rows = [
        {
            "fold": row["fold"],
            "run": f"`{row['run_id']}`",
            "best epoch": row["best_epoch"],
            "validation UAR, %": f"{100 * row['validation_uar']:.1f}",
            "code": f"`{str(row['code_commit'])[:7]}`",
            "torch": row["torch"],
            "Python": row["python"],
            "device": row["device"],
            "finished (UTC)": row["finished_at"],
        }
        for row in shipped.to_dict("records")
    ]
    settings = ", ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in training.items() if isinstance(value, float))
    whole = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in training.items() if isinstance(value, int) and value > 1)
    return f"""## Training

Adam and cross-entropy; {settings}, {whole}, dropout {spec["model"]["dropout"]:.3g}; the best epoch by validation UAR is kept.
Variant `{spec["model"]["variant"]}`. Every run of the group ({len(runs)} in all) is in the stored results; those whose weights ship:

{markdown_table(rows)}

The weights are safetensors, byte for byte those of the runs; their checksums are compared whenever they are loaded, and they are refused
where the code of features or network has another revision. Made with sercore {model["sercore"]}."""


def _cite(corpus: Card) -> str:
    return f"""## How to cite

This study as in its `CITATION.cff`; the network: D. Krasnoproshin and M. Vashkevich, "Speech Emotion Recognition using
Attention-based LSTM-Network with Residual Connection", 2026, arXiv:2606.03359; the recordings:
{" ".join(corpus.citation.split())}"""


def _interval(interval: Interval) -> str:
    return f"{100 * interval.estimate:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}] %"
