"""What several commands are given: folders of corpora, and the specification of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sercore.errors import SpecError

if TYPE_CHECKING:
    from sercore.spec import RunSpec

Choices = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE[,..]", help="What else the chapter's grid can be asked for, e.g. taps=conv_1,conv_5."),
]


def roots_of(given: list[str] | None) -> dict[str, Path]:
    """NAME=DIR options as a table.

    Args:
        given: values of `--root`.

    Returns:
        corpus name -> folder.

    Raises:
        BadParameter: one is not NAME=DIR, its folder is not there, or no corpus has that name (exit code 2).
    """
    from sercore.data.card import card_names
    from sercore.data.own import CARD

    roots = {}
    for option in given or ():
        name, equals, folder = option.partition("=")
        if not (name and equals and Path(folder).expanduser().is_dir()):
            raise typer.BadParameter(f"{option!r}: write NAME=DIR with a folder that exists", param_hint="--root")
        if name not in card_names() and not (Path(folder).expanduser() / CARD).is_file():
            raise typer.BadParameter(
                f"{option!r}: no corpus {name!r}; known: {', '.join(card_names())}, and folders with a {CARD}", param_hint="--root"
            )
        roots[name] = Path(folder).expanduser()
    return roots


def read_spec(path: Path) -> RunSpec:
    """A run spec from a YAML file.

    Raises:
        SpecError: the file is not YAML or not a spec (names the file and the field).
    """
    import yaml
    from pydantic import ValidationError

    from sercore.spec import RunSpec

    try:
        return RunSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SpecError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'spec'}: {fault['msg']}" for fault in error.errors()]
        raise SpecError(f"{path}: {'; '.join(faults)}") from error
