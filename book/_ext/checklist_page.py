"""The generated part of the reproducibility checklist: 21 questions, each answered from what lies in the repository.

The questions are those of the machine learning reproducibility checklist, version 2.0 (Pineau et al., 2021), in our own words. An answer
is computed from specs, runs, trials, cards and files, so it changes when they do: `met`, `partly`, `not met` or `does not apply`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pieces import table, write_if_changed

MET, PARTLY, NOT_MET, NO = "met", "partly", "not met", "does not apply"
Answer = tuple[str, str]


@dataclass(frozen=True)
class Facts:
    """What the answers are computed from.

    Attributes:
        root: of the project.
        groups, runs, trials: stored rows of all chapters.
        specs: group -> specification.
        cards: corpus -> its card.
        chapters: entries of the register.
    """

    root: Path
    groups: Sequence[Mapping[str, str]]
    runs: Sequence[Mapping[str, str]]
    trials: Sequence[Mapping[str, str]]
    specs: Mapping[str, Any]
    cards: Mapping[str, Mapping[str, Any]]
    chapters: Sequence[Mapping[str, Any]]

    def there(self, *paths: str) -> bool:
        """Whether all these files exist."""
        return all((self.root / path).exists() for path in paths)


def gather(root: Path) -> Facts:
    """The facts of a tree; empty where it has no results yet."""
    folders = [p.parent for p in sorted((root / "book/results").glob("*/groups.csv"))]
    specs: dict[str, Any] = {}
    for folder in folders:
        specs |= json.loads((folder / "specs.json").read_text(encoding="utf-8"))
    cards = {p.stem: yaml.safe_load(p.read_text(encoding="utf-8")) for p in sorted((root / "sercore/data/cards").glob("*.yml"))}
    register = yaml.safe_load((root / "notebooks/register.yml").read_text(encoding="utf-8"))["chapters"]
    groups, runs, trials = (_rows(folders, name) for name in ("groups", "runs", "trials"))
    return Facts(root, groups, runs, trials, specs, cards, register)


def _rows(folders: Sequence[Path], name: str) -> list[dict[str, str]]:
    rows = []
    for path in (folder / f"{name}.csv" for folder in folders):
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows += list(csv.DictReader(file))
    return rows


def _networks(facts: Facts) -> list[Mapping[str, str]]:
    """Groups whose systems are trained with seeds; the plain rows for scale have none."""
    return [group for group in facts.groups if group["parameters"]]


def _measured(facts: Facts) -> str:
    return ", ".join(sorted({group["corpus"] for group in facts.groups})) or "none"


def model(facts: Facts) -> Answer:
    systems = len({group["system"] for group in _networks(facts)})
    of_systems = [chapter for chapter in facts.chapters if chapter["name"] in {group["chapter"] for group in facts.groups}]
    status = MET if of_systems and all(_says(facts, chapter, "## Method") for chapter in of_systems) else PARTLY
    return (
        status,
        f"Equations and a drawing in the chapter, layers in [the reference](api/networks.md). Networks with stored runs: {systems}.",
    )


def _says(facts: Facts, chapter: Mapping[str, Any], words: str) -> bool:
    path = facts.root / f"notebooks/{chapter['name']}.py"
    return path.is_file() and words.lower() in path.read_text(encoding="utf-8").lower()


def assumptions(facts: Facts) -> Answer:
    without = [c["title"] for c in facts.chapters if not _says(facts, c, "## Limits")]
    said = "Each chapter ends with its limits; what is wrong across chapters stands in [known issues](known_issues.md)."
    return (PARTLY, f"No section on limits in: {', '.join(without)}.") if without else (MET, said)


def complexity(facts: Facts) -> Answer:
    sized = _networks(facts)
    timed = [run for run in facts.runs if run["seconds_per_epoch"]]
    if not sized or not timed:
        return NOT_MET, "No run is stored from which size or time could be read."
    sizes = sorted({int(float(group["parameters"])) for group in sized})
    text = f"Parameters ({sizes[0]:,} to {sizes[-1]:,}), seconds an epoch and peak memory are stored with every run. "
    if any(str(group.get("macs") or "nan") != "nan" for group in sized):
        text += "Newer runs store multiply-accumulates of one recording too; older ones are counted again on the page. "
    return PARTLY, text + "How scores grow with the number of recordings is not measured."


def theory(facts: Facts) -> Answer:
    del facts
    return NO, "The study makes no theoretical claim of its own."


def statistics_of_data(facts: Facts) -> Answer:
    counted = [name for name, card in facts.cards.items() if card.get("files") and card.get("emotions")]
    text = "Recordings by class, speaker and gender: the corpus cards in [corpora and protocols](chapters/corpora_and_protocols.ipynb)"
    return (MET if len(counted) == len(facts.cards) and counted else PARTLY), f"{text} ({len(counted)} of {len(facts.cards)} with counts)."


def splits(facts: Facts) -> Answer:
    schemes = sorted({f"{g['corpus']} {g['split']}" for g in facts.groups})
    fingerprints = all(run["split_fingerprint"] for run in facts.runs)
    text = f"Speakers of every side of every fold are drawn in the same chapter; schemes of stored runs: {', '.join(schemes) or 'none'}. "
    return (MET if schemes and fingerprints else PARTLY), text + "Every run carries the fingerprint of its split."


def exclusions(facts: Facts) -> Answer:
    short = [g["group"] for g in facts.groups if g["corpus"] in facts.cards and _fewer(g, facts.cards[g["corpus"]])]
    text = "Counts are checked against the card and nothing is dropped silently. Pre-processing is part of the specification."
    return MET, text + (f" Groups that leave recordings out, by a declared condition: {', '.join(short)}." if short else "")


def _fewer(group: Mapping[str, str], card: Mapping[str, Any]) -> bool:
    return int(group["folds"]) > 1 and int(group["n_items"]) < int(card["files"])


def access(facts: Facts) -> Answer:
    real = {name: card for name, card in facts.cards.items() if name != "synthetic"}
    told = [name for name, card in real.items() if card.get("access")]
    text = f"The embedded corpus needs no download. For {', '.join(told)} the card says where the release is and under which licence. "
    return (
        PARTLY if told else NOT_MET
    ), text + "Recordings are not redistributed, and the project cannot vouch that a release stays there."


def collection(facts: Facts) -> Answer:
    made = facts.there("sercore/data/synthetic.py")
    text = "No people were recorded. The embedded corpus is generated; its code is its description"
    return (MET if made else NOT_MET), f"{text}, and its known factors are listed in [the chapter](chapters/corpora_and_protocols.ipynb)."


def dependencies(facts: Facts) -> Answer:
    files = ("pyproject.toml", "constraints.txt", "environment.yml")
    return (MET, "Ranges, the exact tested set, and a conda file: `" + "`, `".join(files) + "`.") if facts.there(*files) else (NOT_MET, "")


def training_code(facts: Facts) -> Answer:
    return (MET, "`sercore/train.py`, [described here](api/training.md).") if facts.there("sercore/train.py") else (NOT_MET, "")


def evaluation_code(facts: Facts) -> Answer:
    files = ("sercore/evaluate.py", "sercore/metrics.py")
    return (MET, "`sercore/evaluate.py` is the only code that sees test labels.") if facts.there(*files) else (NOT_MET, "")


def trained_models(facts: Facts) -> Answer:
    found = list((facts.root / "sercore").rglob("*.safetensors"))
    if not found:
        return NOT_MET, "No trained weights are in the repository; every run can be repeated from its specification."
    size = sum(p.stat().st_size for p in found) / 1e6
    return PARTLY, f"{len(found)} files ({size:.1f} MB) of some published runs ship with the package; the weights of the others do not."


def commands(facts: Facts) -> Answer:
    readme = facts.root / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    told = "make full" in text and "make book" in text
    said = "The README has the commands; the results themselves stand in the book that they build, beside the command of each chapter."
    return (PARTLY, said) if told else (NOT_MET, "The README does not say how a full run is started.")


def hyper_parameters(facts: Facts) -> Answer:
    studies = {trial["study"] for trial in facts.trials}
    tuned = {g["group"] for g in _networks(facts)}
    text = (
        f"Ranges and method in the chapter; {len(facts.trials)} trials of {len(studies)} searches are stored; every value that was used is "
    )
    text += "in the [specification of its group](runs.md). The search is not nested ([known issues](known_issues.md))."
    return (MET if facts.trials and all(facts.specs.get(group) for group in tuned) else NOT_MET), text


def number_of_runs(facts: Facts) -> Answer:
    seeds = [int(group["seeds"]) for group in _networks(facts)]
    if not seeds:
        return NOT_MET, "No run is stored."
    text = f"{len(facts.runs)} runs in {len(facts.groups)} groups on {_measured(facts)}; {_span(seeds)} seeds a fold for networks. "
    text += "Under strict rules each test side is scored once a run; what a declared leak adds to that is said where it is declared."
    return (MET if min(seeds) >= 5 else PARTLY), text


def _span(numbers: Sequence[int]) -> str:
    return str(min(numbers)) if min(numbers) == max(numbers) else f"{min(numbers)} to {max(numbers)}"


def measures(facts: Facts) -> Answer:
    told = facts.there("sercore/metrics.py", "book/reading_guide.md")
    return (MET, "UAR and accuracy: [reading guide](reading_guide.md), [code](api/measures.md).") if told else (NOT_MET, "")


def variation(facts: Facts) -> Answer:
    if not facts.runs:
        return NOT_MET, "No run is stored."
    return MET, "Mean over seeds with a 95 % interval over speakers; lowest and highest seed of each speaker; never a maximum alone."


def run_time(facts: Facts) -> Answer:
    timed = [float(run["seconds"]) for run in facts.runs if run["seconds"]]
    if not timed or len(timed) < len(facts.runs):
        return (PARTLY if timed else NOT_MET), f"Times are stored for {len(timed)} of {len(facts.runs)} runs."
    text = f"{sum(timed) / 3600:.1f} hours of training for {len(timed)} stored runs ({sum(timed) / len(timed):.0f} s on average), searches "
    searched = sum(float(trial["seconds"] or 0) for trial in facts.trials if trial.get("seconds"))
    return PARTLY, text + f"{searched / 3600:.1f} hours more. Energy was not measured."


def infrastructure(facts: Facts) -> Answer:
    devices = sorted({run["device"] for run in facts.runs if run["device"]})
    versions = sorted({f"python {run['python']}, torch {run['torch']}" for run in facts.runs})
    if not devices:
        return NOT_MET, "No run is stored."
    text = f"Stored runs: {', '.join(devices)}, one thread a run; {'; '.join(versions)}. See the [status page](status.md). "
    return PARTLY, text + "The model of the processor is not recorded."


#: Part, question in our own words, and what answers it.
ITEMS: tuple[tuple[str, str, Callable[[Facts], Answer]], ...] = (
    ("Models and algorithms", "Is the problem, the model and the algorithm described clearly?", model),
    ("Models and algorithms", "Are the assumptions stated?", assumptions),
    ("Models and algorithms", "Is the cost analysed: time, memory, number of samples?", complexity),
    ("Theory", "Is each theoretical claim stated clearly?", theory),
    ("Theory", "Is each claim proved completely?", theory),
    ("Data", "Are the relevant statistics of the data given?", statistics_of_data),
    ("Data", "Are the training, validation and test sides given in detail?", splits),
    ("Data", "Is what was left out explained, and all pre-processing?", exclusions),
    ("Data", "Can the data be downloaded?", access),
    ("Data", "If data were collected: is it said how?", collection),
    ("Code", "Are the dependencies specified?", dependencies),
    ("Code", "Is the training code there?", training_code),
    ("Code", "Is the evaluation code there?", evaluation_code),
    ("Code", "Are trained models there?", trained_models),
    ("Code", "Does the README hold the results with the exact commands that make them?", commands),
    ("Results", "Are ranges, choice and final values of all hyper-parameters given?", hyper_parameters),
    ("Results", "Is the number of training and evaluation runs stated?", number_of_runs),
    ("Results", "Is each measure defined?", measures),
    ("Results", "Do results come with a central value and its variation?", variation),
    ("Results", "Is the run time, or the energy, stated for each result?", run_time),
    ("Results", "Is the computing infrastructure described?", infrastructure),
)


def checklist(facts: Facts) -> str:
    """The answers as tables, one a part, with a count above."""
    answers = [(part, question, *answer(facts)) for part, question, answer in ITEMS]
    counts = {status: sum(row[2] == status for row in answers) for status in (MET, PARTLY, NOT_MET, NO)}
    text = [f"Of {len(answers)} questions: " + ", ".join(f"{count} {status}" for status, count in counts.items()) + "."]
    for part in dict.fromkeys(row[0] for row in answers):
        rows = [[question, f"**{status}**", said] for p, question, status, said in answers if p == part]
        text.append(f"## {part}\n\n" + table(["question", "answer", "evidence"], rows))
    return "\n\n".join(text) + "\n"


def write_checklist(root: Path) -> None:
    """Write book/_generated/checklist.md."""
    write_if_changed(root / "book" / "_generated" / "checklist.md", checklist(gather(root)))
