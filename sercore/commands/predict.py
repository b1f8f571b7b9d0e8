"""`sercore predict`, and the two commands that make what ships: `sercore ship`, `sercore cards`."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sercore.answers import plain, table
from sercore.commands.inputs import roots_of
from sercore.errors import StoreError

if TYPE_CHECKING:
    from sercore.predict.hearing import Answer
    from sercore.predict.trained import Trained

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
Roots = Annotated[list[str] | None, typer.Option("--root", metavar="NAME=DIR", help="Folder of a corpus; may be repeated.")]
#: Windows of the curve that are printed; --json and --csv have all.
_SHOWN = 12
_REMINDER = "trained on acted speech; not for decisions about people"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (predict, ship, cards):
        app.command()(command)


def predict(
    run: Annotated[
        str, typer.Argument(help="Shipped model (ravdess, ravdess.fold_2, ...), or id of a finished run or its beginning.")
    ] = "",
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE...", help="Recordings, or folders of recordings.")] = None,
    window: Annotated[float | None, typer.Option(help="Length of a window of the curve, in seconds. Default: 3, or a segment.")] = None,
    hop: Annotated[float | None, typer.Option(help="From window to window, in seconds. Default: a third of the window.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Also write the answers and their curves to this file.")] = None,
    root: Roots = None,
    as_list: Annotated[bool, typer.Option("--list", help="List the shipped models and stop.")] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Says which emotion trained networks hear in recordings.

    For each: emotion, class scores, a curve over windows, and whether it is unlike what the networks were trained on. A recording longer
    than those is answered for by the mean of its windows; networks that read segments answer by the mean of their logits, however long it
    is. A recording that cannot be read is named, the others are done, the exit code is 1.
    """
    from sercore.predict import hearing, recording, trained

    if as_list:
        rows = [_listed(trained.load_shipped(name)) for name in trained.shipped_names()]
        typer.echo(_json(rows) if as_json else table(rows))
        return
    if not run or not files:
        raise typer.BadParameter("name a run and at least one recording: sercore predict RUN FILE...", param_hint="RUN FILE...")
    model = trained.find(run, roots_of(root))
    if not as_json:
        typer.echo(_head(model))
    answers: list[Answer] = []
    failed: list[tuple[Path, str]] = []
    paths = recording.gather(files)
    for found in hearing.predict_files(model, paths, window, hop, progress=not quiet):
        if isinstance(found, tuple):
            failed.append(found)
            typer.echo(f"error: {' '.join(found[1].split())}", err=True)
            continue
        answers.append(found)
        if not as_json:
            typer.echo(f"\n{_in_words(found, model)}")
    if csv_file:
        _write_csv(csv_file, model, answers)
    if as_json:
        faults = [{"file": str(path), "error": error} for path, error in failed]
        typer.echo(_json({"model": _named(model), "recordings": [_as_data(a, model) for a in answers], "failed": faults}))
    if failed:
        typer.echo(f"error: {len(failed)} of {len(paths)} recordings could not be answered for", err=True)
        raise typer.Exit(1)


def ship(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Shipped models to make. Default: all.")] = None,
    root: Roots = None,
    beside: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of folders of other sounds to measure on. Default: $SERCORE_CORPORA."),
    ] = None,
) -> None:
    """Makes the shipped models from their published runs in the store.

    Needs the recordings: every run is replayed and compared with its stored scores. Runs that are not published whole, came from code
    that was not committed, or are damaged, are refused.
    """
    from sercore.pages import model_card
    from sercore.predict import shipping

    everywhere = os.environ.get("SERCORE_CORPORA")
    beside = beside or (Path(everywhere) if everywhere else None)
    for name in names or shipping.RECIPES:
        folder = shipping.ship(name, roots_of(root), beside)
        model_card.write(name)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        typer.echo(f"wrote {folder} ({size / 1e6:.2f} MB)")


def cards(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 where a card is not that of the stored rows.")] = False,
) -> None:
    """Writes the model cards of the shipped models again from the stored rows: after each `sercore publish`.

    With --check a card that is not up to date is a StoreError: one line, exit code 1.
    """
    from sercore.pages import model_card
    from sercore.predict.trained import shipped_names

    stale = [name for name in shipped_names() if not model_card.is_current(name)]
    if check and stale:
        raise StoreError(f"the model cards of {', '.join(stale)} are not those of the stored rows: run `sercore cards`")
    for name in stale:
        typer.echo(f"wrote {model_card.write(name)}")
    if not stale:
        typer.echo("the model cards are those of the stored rows")


def _json(value: Any) -> str:
    return json.dumps(plain(value), indent=2, allow_nan=False)


def _listed(model: Trained) -> dict[str, Any]:
    from sercore.data.card import load_card

    card = load_card(model.spec.data.corpus)
    row = {"name": model.name, "trained on": card.title, "speakers": len(card.speakers), "networks": len(model.networks)}
    return row | {"emotions": len(model.labels), "licence of the recordings": card.licence}


def _named(model: Trained) -> dict[str, Any]:
    spec = model.spec
    named = {"name": model.name, "shipped": model.shipped, "system": spec.model.name, "settings": spec.settings}
    named |= {"corpus": spec.data.corpus, "protocol": spec.protocol, "segment_s": model.segment_s or None}
    named |= {"runs": [network.run_id for network in model.networks], "labels": list(model.labels), "sample_rate_hz": model.sample_rate_hz}
    return named | {"whole_up_to_s": model.whole_up_to_s, "limits": _REMINDER}


def _head(model: Trained) -> str:
    spec, n = model.spec, len(model.networks)
    what = f"{' '.join(filter(None, (spec.model.name, spec.settings)))} on {spec.data.corpus}, {spec.protocol}"
    line = f"{model.name}: {f'{n} networks, scores averaged' if n > 1 else 'one network'} ({what}); {_REMINDER}"
    if model.segment_s:
        line += f"\nreads segments of {model.segment_s:g} s; the logits of a recording are the mean of theirs"
    if model.networks[0].familiar is None and model.heard is not None:
        line += "\none speaker alone trained it, so novelty is not judged"
    elif model.networks[0].familiar is None:
        line += f"\nthe recordings of {spec.data.corpus} that it was trained on are not at hand (--root), so novelty is not judged"
    return line


def _in_words(answer: Answer, model: Trained) -> str:
    ranked = sorted(answer.scores.items(), key=lambda pair: -pair[1])
    agree = f", {answer.agreeing} of {len(model.networks)} networks" if len(model.networks) > 1 else ""
    lines = [f"{answer.file}  {answer.duration_s:.2f} s, {answer.method}", f"  emotion: {answer.emotion} {ranked[0][1]:.2f}{agree}"]
    lines.append("  scores:  " + ", ".join(f"{label} {score:.2f}" for label, score in ranked))
    if answer.unlike:
        lines[1] += "  (NOT TO BE RELIED ON)"
        lines.append("  unlike the training recordings:")
        lines += [f"    {finding.check}: {finding.says}" for finding in answer.findings]
    elif answer.unlike is not None:
        lines.append(f"  like the training recordings ({answer.ratio:.2f} of the limit)")
    if answer.heard:
        sides = "; ".join(f"{side} of fold {', '.join(map(str, folds))}" for side, folds in answer.heard.items())
        lines.append(f"  a recording of the training corpus ({sides}): networks that trained on it say nothing about new ones")
    lines += [f"  {_segment(segment)}" for segment in answer.segments[:_SHOWN]]
    if (more := len(answer.segments) - _SHOWN) > 0:
        lines.append(f"  ... {more} more windows: --json or --csv")
    return "\n".join(lines)


def _segment(segment: Any) -> str:
    ratio = "" if segment.ratio is None else f"  {segment.ratio:.2f} of the limit"
    return f"{segment.start_s:7.2f} to {segment.end_s:7.2f} s  {segment.emotion:<9} {max(segment.scores):.2f}{ratio}"


def _as_data(answer: Answer, model: Trained) -> Mapping[str, Any]:
    curve = [
        {**vars(segment), "scores": dict(zip(model.labels, segment.scores, strict=True))} for segment in answer.segments
    ]  # what the text calls "of the limit" is `ratio`
    return {**vars(answer), "unlike": answer.unlike, "segments": curve}


def _write_csv(path: Path, model: Trained, answers: Sequence[Answer]) -> None:
    """One row a recording and one a window, written beside and moved into place."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "part", "start_s", "end_s", "emotion", *(f"score_{label}" for label in model.labels), "ratio", "findings"])
    for answer in answers:
        checks = "+".join(finding.check for finding in answer.findings)
        whole = [answer.file, "whole", 0, f"{answer.duration_s:.3f}", answer.emotion]
        rows.writerow([*whole, *(f"{score:.6f}" for score in answer.scores.values()), _number(answer.ratio), checks])
        for s in answer.segments:
            part = [answer.file, "window", f"{s.start_s:.3f}", f"{s.end_s:.3f}", s.emotion]
            rows.writerow([*part, *(f"{score:.6f}" for score in s.scores), _number(s.ratio), ""])
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        beside.write_text(text.getvalue(), encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written ({error.strerror}): name another file after --csv") from error


def _number(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.4f}"
