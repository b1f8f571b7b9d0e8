"""`sercore audit`: the leaks of a split plan or of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sercore.answers import plain
from sercore.commands.inputs import read_spec, roots_of
from sercore.progress import silenced


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(audit)


def audit(
    target: Annotated[
        str,
        typer.Argument(
            metavar="PLAN|RUN",
            help="A run specification (.yml); a split table (.csv, .json) with item_id and side; or the id of a run, or its beginning.",
        ),
    ],
    corpus: Annotated[str, typer.Option(metavar="NAME", help="Corpus in which the items of a split table are looked up.")] = "",
    declare: Annotated[list[str] | None, typer.Option(metavar="LEAK", help="A leak of a split table that is meant; may recur.")] = None,
    root: Annotated[list[str] | None, typer.Option("--root", metavar="NAME=DIR", help="Folder of a corpus; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Lists the leaks of a split plan or a run: found, not found, or could not be checked and why.

    A split table has a row an item: item_id, side (train, validation, test) and, where known, speaker, source_id, audio_id or path, text,
    start_s, end_s, label. Exit code 1 where a leak is found that is not declared.
    """
    roots = roots_of(root)
    is_spec = Path(target).suffix.lower() in (".yml", ".yaml") and Path(target).is_file()
    spec = read_spec(Path(target)) if is_spec else None
    from sercore import leak_audit

    with silenced(quiet):
        report = leak_audit.audit(leak_audit.case_of(target, corpus, roots, declare or (), spec))
    typer.echo(json.dumps(plain(report.to_json()), indent=2, allow_nan=False) if as_json else report.text())
    if not report.ok:
        raise typer.Exit(1)
