"""`sercore corpora fetch`: downloads what is openly licensed, says the steps for the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(fetch)


def fetch(
    name: Annotated[str, typer.Argument(help="Corpus, as `corpora list` names it.")],
    to: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder that holds corpora; NAME is made in it. Default: $SERCORE_CORPORA.")
    ] = None,
    part: Annotated[list[str] | None, typer.Option(metavar="PART", help="Only this part of the release; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
) -> None:
    """Downloads an openly licensed corpus, or says how to get another one.

    A download that broke off is taken up again by the same command. Nothing is put in place before it is whole and has the checksum of the
    card.
    """
    from sercore.data.card import card_names, load_card

    if name not in card_names():
        raise typer.BadParameter(f"no corpus {name!r}; known: {', '.join(card_names())}", param_hint="NAME")
    card = load_card(name)
    if not card.downloads:
        steps = {"name": name, "fetched": False, "licence": card.licence, "steps": card.access}
        typer.echo(json.dumps(steps, indent=2) if as_json else f"{card.title}\nlicence: {card.licence}\nby hand: {card.access}")
        return
    everywhere = os.environ.get("SERCORE_CORPORA")
    if to is None and not everywhere:
        raise typer.BadParameter("name the folder that holds corpora, or set SERCORE_CORPORA", param_hint="--to")
    from sercore.data.fetch import fetch as download

    megabytes = sum(d.size_bytes for d in card.downloads if not part or d.part in part) / 1e6
    typer.echo(f"{card.title}, {megabytes:,.0f} MB, licence: {card.licence}", err=True)
    folder = download(card, to or Path(everywhere or ""), tuple(part or ()))
    check = f"sercore corpora check {name} --root {folder}"
    done = {"name": name, "fetched": True, "licence": card.licence, "folder": str(folder), "check": check}
    typer.echo(json.dumps(done, indent=2) if as_json else f"{folder}\nnow: {check}")
