"""`sercore sweep`: the runs of a chapter, as many as are wanted, on whatever scheduler; and what that would take."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from sercore.answers import plain, table
from sercore.commands.inputs import Choices, roots_of
from sercore.errors import SpecError
from sercore.progress import silenced

if TYPE_CHECKING:
    from sercore.spec import RunSpec

Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="KEY=VALUE[,..]", help="A slice, e.g. corpus=emodb,seed=0-2; may be repeated."),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(sweep)


def sweep(
    chapter: Annotated[str, typer.Argument(help="Chapter, e.g. reslstm_sa.")],
    profile: Annotated[str, typer.Option(metavar="quick|full", help="quick takes the synthetic corpus where no other is named.")] = "quick",
    scheduler: Annotated[
        str, typer.Option(metavar="NAME", help="Empty: this process; local, local:N: worker processes; tcp://host:port: a Dask cluster.")
    ] = "",
    corpora: Annotated[
        list[str] | None, typer.Option("--corpora", "--corpus", metavar="NAME[,..]", help="Default: those promised, quick: synthetic.")
    ] = None,
    protocols: Annotated[
        list[str] | None, typer.Option("--protocols", "--protocol", metavar="NAME[,..]", help="Default: those promised, quick: strict.")
    ] = None,
    systems: Annotated[list[str] | None, typer.Option("--systems", "--system", metavar="NAME[,..]", help="Default: the chapter's.")] = None,
    choices: Choices = None,
    only: Only = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is done, what is to do and what it would take; run nothing.")
    ] = False,
    keep_failed: Annotated[bool, typer.Option("--keep-failed", help="Leave runs that failed before; else they are tried again.")] = False,
    root: Annotated[list[str] | None, typer.Option("--root", metavar="NAME=DIR", help="Folder of a corpus; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Does the runs of a chapter that are not done yet, or with --dry-run says what they would take.

    May be stopped at any moment and called again: finished runs are found, an interrupted one goes on from its last epoch, one that failed
    is tried again. Several sweeps may share a store. Searches that a full grid rests on are done first. Exit code 1 where a run failed.
    """
    roots = roots_of(root)
    wanted = _names(corpora) or list(roots)
    grids = grids_of(chapter, profile, wanted, _names(protocols), _names(systems), only or (), choices or ())
    from sercore.forecast import forecast
    from sercore.grids import tuned
    from sercore.schedulers import connect
    from sercore.sweep import run_all

    with silenced(quiet or as_json):
        if dry_run:
            expected = forecast(chapter if profile == "full" else "", grids, roots)
            typer.echo(json.dumps(plain(dataclasses.asdict(expected)), indent=2) if as_json else expected.text())
            return
        connect(scheduler).close()  # an address that does not answer is said before a search is begun
        specs = [spec for grid in grids for spec in grid]
        done = run_all(tuned(specs, chapter, roots) if profile == "full" else specs, roots, scheduler, retry_failed=not keep_failed)
    failures = plain(done.failures.to_dict("records"))
    again = f"; {done.again} that had failed before {'was' if done.again == 1 else 'were'} tried again" if done.again else ""
    text = "\n".join([done.summary() + again, *([table(failures)] if failures else [])])
    answer = {"found": done.found, "ran": done.ran, "again": done.again, "failed": failures}
    typer.echo(json.dumps(answer, indent=2, allow_nan=False) if as_json else text)
    if failures:
        raise typer.Exit(1)


def grids_of(
    chapter: str,
    profile: str,
    corpora: list[str],
    protocols: list[str],
    systems: list[str],
    only: list[str] | tuple[str, ...],
    choices: list[str] | tuple[str, ...] = (),
) -> list[list[RunSpec]]:
    """The specs asked for, one list a group, without tuned values.

    Args:
        chapter: key of `sercore.grids.GRIDS`.
        profile: `quick` or `full`.
        corpora, protocols, systems: names; empty takes what the study promises, and for quick the synthetic corpus under strict.
        only: slices, as `sercore.forecast.sliced`.
        choices: `KEY=VALUE[,..]`, as `sercore.grids.choices_of`.

    Raises:
        SpecError: a name, key or value is not known.
    """
    from sercore.forecast import sliced
    from sercore.grids import chapter_specs, choices_of
    from sercore.publication import promised_corpora, promised_specs

    more = choices_of(chapter, choices)
    if profile == "full":
        specs = [s for grid in promised_specs(chapter, corpora or promised_corpora(chapter), protocols, systems, **more) for s in grid]
    else:
        specs = chapter_specs(chapter, corpora or ["synthetic"], profile, protocols or ["strict"], systems=systems, **more)
    if not specs:
        raise SpecError(f"the full grid of {chapter} promises nothing on {', '.join(corpora)}: name a protocol with --protocols")
    groups: dict[str, list[RunSpec]] = {}
    for spec in sliced(specs, only):
        groups.setdefault(spec.group, []).append(spec)
    return list(groups.values())


def _names(given: list[str] | None) -> list[str]:
    return [name.strip() for option in given or () for name in option.split(",") if name.strip()]
