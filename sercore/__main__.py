"""The command line: `sercore`, also `python -m sercore`.

Exit codes: 0 all is well, 1 a problem (one line on stderr), 2 the command was called wrongly. With --json, stdout holds JSON and nothing
else. What is slow to import (torch, pandas) is imported inside the command that needs it, so that --help answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sercore.answers import plain, table
from sercore.commands import audit as audit_commands
from sercore.commands import fetch as fetch_commands
from sercore.commands import predict as predict_commands
from sercore.commands import sweep as sweep_commands
from sercore.commands.inputs import Choices, read_spec, roots_of
from sercore.errors import SercoreError, SpecError
from sercore.progress import silenced

if TYPE_CHECKING:
    from sercore.spec import RunSpec

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]

Roots = Annotated[list[str] | None, typer.Option("--root", metavar="NAME=DIR", help="Folder of a corpus; may be repeated.")]
Chapter = Annotated[str, typer.Argument(help="Chapter, e.g. reslstm_sa.")]
Corpus = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this corpus; may be repeated.")]
Protocol = Annotated[list[str] | None, typer.Option(metavar="NAME", help="strict or paper; may be repeated. Default: those promised.")]
System = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this system; may be repeated. Default: the chapter's.")]


class _Variant(StrEnum):
    definition = "definition"
    released = "released"


class _Commands(TyperGroup):
    """Turns an error that the user can mend into one line on stderr and exit code 1; --debug lets it through."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SercoreError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"error: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
corpora = typer.Typer(no_args_is_help=True, help="What recordings are known, and whether a copy of them is whole.", rich_markup_mode=None)
app.add_typer(corpora, name="corpora")


@app.callback()
def main(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """A reproducible study of speech emotion recognition."""


@corpora.command("list")
def corpora_list(as_json: Json = False) -> None:
    """Every corpus that can be read, with what its card says."""
    from sercore.data.card import load_card
    from sercore.data.corpora import CORPORA

    cards = [load_card(name) for name in CORPORA]
    rows: list[dict[str, Any]] = [
        {
            "name": card.name,
            "title": card.title,
            "files": card.files,
            "speakers": len(card.speakers) or card.n_speakers,
            "task": card.task,
            "classes": list(card.classes),
            "languages": list(card.languages),
            "sample_rate_hz": card.sample_rate_hz,
            "licence": card.licence,
            "layout_verified": card.layout_verified,
            "fetch": [download.url for download in card.downloads] or "steps only",
        }
        for card in cards
    ]
    short = ("name", "task", "files", "speakers", "classes", "sample_rate_hz", "licence")
    shown = [{key: len(row[key]) if key == "classes" else row[key] or "" for key in short} for row in rows]
    _answer(rows, table(shown), as_json)


@corpora.command("check")
def corpora_check(
    name: Annotated[str, typer.Argument(help="Corpus, as `corpora list` names it, or one's own.")],
    root: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of the corpus. Default: NAME under $SERCORE_CORPORA.")
    ] = None,
    subset: Annotated[
        bool, typer.Option("--subset", help="The folder holds a sample of the release: what is missing is no fault.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compares a folder with the card of its corpus.

    Counts, names and the decoded audio are checked. Known defects of the official release are notes; anything else is exit code 1.
    """
    from sercore.data.audit import check_corpus
    from sercore.data.card import card_names
    from sercore.data.own import CARD, find

    if name not in card_names() and not find(name, root):
        hint = f"one of your own needs --root with a folder that holds {CARD}"
        raise typer.BadParameter(f"no corpus {name!r}; known: {', '.join(card_names())}; {hint}", param_hint="NAME")
    report = check_corpus(name, root, progress=not quiet, subset=subset)
    _answer(report.to_json(), report.table(), as_json)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def models(
    n_features: Annotated[int, typer.Option(min=0, help="Values a frame; 0 takes 46, or 161 for networks of spectrograms.")] = 0,
    n_frames: Annotated[int, typer.Option(min=1, help="Frames of every input, for networks of spectrograms; 401 are 4 s.")] = 401,
    n_classes: Annotated[int, typer.Option(min=2, help="Classes.")] = 8,
    variant: Annotated[_Variant, typer.Option(help="What the paper defines, or what the authors' code does.")] = _Variant.definition,
    as_json: Json = False,
) -> None:
    """Every network by name, with its numbers of parameters."""
    import torch

    from sercore.models import MODELS, SPECTROGRAM, build

    rows = []
    for name in MODELS:
        maps = name in SPECTROGRAM
        values = n_features or (161 if maps else 46)
        with torch.device("meta"):  # only counted: no memory for the large ones
            network = build(name, n_features=values, n_classes=n_classes, variant=variant.value, n_frames=n_frames if maps else 0)
        trainable = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
        total = sum(weight.numel() for weight in network.parameters())
        row = {"name": name, "input": f"{n_frames} x {values}" if maps else f"any x {values}"}
        rows.append(row | {"trainable": trainable, "frozen": total - trainable, "total": total})
    _answer(rows, table(rows), as_json)


@app.command()
def run(
    spec: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="SPEC.yml", help="The run: data, split, model, seed, ...")],
    root: Roots = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Runs one spec and prints its record.

    A finished run is found, not repeated; an interrupted one resumes from its last epoch.
    """
    roots = roots_of(root)
    wanted = read_spec(spec)
    from sercore.experiment import run_one

    with silenced(quiet):
        record = run_one(wanted, roots=roots, progress=not quiet)
    row = plain(record)
    _answer(row, "\n".join(f"{key}: {value}" for key, value in row.items()), as_json)


@app.command()
def runs(
    status: Annotated[str, typer.Option(help="Only runs of this status, e.g. finished.")] = "",
    as_json: Json = False,
) -> None:
    """The runs in the store ($SERCORE_STORE, else ./store)."""
    from sercore.store import RunStore

    rows = [row for row in plain(RunStore().records().to_dict("records")) if not status or row.get("status") == status]
    columns = ("run_id", "system", "corpus", "protocol", "fold", "seed", "status", "validation_uar")
    _answer(rows, table([{key: row.get(key) for key in columns} for row in rows]) if rows else "no runs", as_json)


@app.command()
def claims(
    source: Annotated[str, typer.Option(help="Only claims of this source, e.g. reslstm2026.")] = "",
    as_json: Json = False,
) -> None:
    """How many published numbers are judged, and with which verdicts."""
    from sercore import ledger

    state = ledger.state(source or None)
    lines = [{"verdict": verdict, "claims": count} for verdict, count in state["verdicts"].items()]
    _answer(state, f"{state['total']} claims\n{table(lines)}", as_json)


@app.command()
def tune(
    chapter: Chapter, corpus: Corpus = None, protocol: Protocol = None, system: System = None, root: Roots = None, as_json: Json = False
) -> None:
    """Searches the hyper-parameters of a chapter's full grid.

    Only validation speakers decide (under protocol paper: what its authors used). An interrupted search goes on; a finished one is read.
    """
    from sercore import grids
    from sercore import tune as searches

    roots, found = roots_of(root), {}
    for specs in _promised(chapter, corpus, protocol, system, roots):
        spec = grids.tuned(specs, chapter, roots)[0]
        if spec.model.name not in grids.BASELINES:
            found[searches.study_name(spec)] = {**spec.training.model_dump(), "dropout": spec.model.dropout}
    rows = [{"search": name, **{key: values[key] for key in searches.SEARCH_SPACE}} for name, values in found.items()]
    _answer(rows, table(rows), as_json)


@app.command()
def publish(
    chapter: Chapter,
    corpus: Corpus = None,
    protocol: Protocol = None,
    system: System = None,
    choices: Choices = None,
    root: Roots = None,
    as_json: Json = False,
) -> None:
    """Writes a chapter's finished full runs to book/results.

    Whole seeds only. Runs on the synthetic corpus, or of code that was not committed, are refused. Rows published before stay, other seeds
    of the same groups among them: a grid may be done seed by seed, on several machines.
    """
    from sercore import publication, published_seeds, results

    roots = roots_of(root)
    rows, left_out = publication.finished_results(chapter, _promised(chapter, corpus, protocol, system, roots, choices), roots)
    rows = published_seeds.joined(chapter, rows)
    folder = results.publish(chapter, rows)
    for reason in left_out:
        typer.echo(f"left out: {reason}", err=True)
    groups = {name: int(count) for name, count in rows.runs["group"].value_counts(sort=False).items()}
    text = "\n".join([*(f"{count} runs of {name}" for name, count in groups.items()), f"wrote {folder}"])
    _answer({"chapter": chapter, "folder": str(folder), "runs": groups, "left_out": left_out}, text, as_json)


def _promised(
    chapter: str,
    corpora: list[str] | None,
    protocols: list[str] | None,
    systems: list[str] | None,
    roots: dict[str, Path],
    choices: list[str] | None = None,
) -> list[list[RunSpec]]:
    """Specs of the full grid for the corpora asked for, else those given as --root, else those under $SERCORE_CORPORA."""
    from sercore.data.corpora import find_corpora
    from sercore.grids import choices_of
    from sercore.publication import promised_specs

    everywhere = os.environ.get("SERCORE_CORPORA")
    names = corpora or list(roots) or (list(find_corpora(everywhere)) if everywhere else [])
    if not names:
        raise SpecError("no corpus is known: give --root NAME=DIR, or set SERCORE_CORPORA to the folder that holds them")
    return promised_specs(chapter, names, protocols or (), systems or (), **choices_of(chapter, choices or ()))


def _answer(payload: Any, text: str, as_json: bool) -> None:
    """The one place that writes to stdout."""
    typer.echo(json.dumps(plain(payload), indent=2, allow_nan=False) if as_json else text)


fetch_commands.add_to(corpora)
predict_commands.add_to(app)
audit_commands.add_to(app)
sweep_commands.add_to(app)

if __name__ == "__main__":
    sys.exit(app())
