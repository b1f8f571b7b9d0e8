"""A corpus of one's own without code: a folder of recordings with `corpus.yml`, and a table or names that say who speaks and how."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd
import soundfile
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sercore.data import names
from sercore.data.card import Card, card_names
from sercore.data.items import EMOTIONS, ITEM_COLUMNS, item_table
from sercore.errors import CorpusError

CARD = "corpus.yml"


class OwnCard(BaseModel):
    """`corpus.yml`: what the recordings are. Either `table` or `layout`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="what specs and commands call it: small letters, digits, _")
    title: str = ""
    task: Literal["emotion", "word", "noise", "instrument", "quality"] = "emotion"
    labels: dict[str, str] = Field(min_length=2, description="label in the table or in the names -> class")
    table: str = Field("", description="CSV file with the columns path, speaker and that of the task")
    layout: str = Field("", description='path of every recording without ending, e.g. "{emotion}/{speaker}_{take}"')
    languages: tuple[str, ...] = ()
    licence: str = "not stated"
    consent: str = "not stated"
    label_process: str = "not stated"
    citation: str = "not published"
    caveats: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> OwnCard:
        if bool(self.table) == bool(self.layout):
            raise ValueError("give either table (a CSV file) or layout (a template of the paths)")
        if self.layout and (missing := {self.task, "speaker"} - set(re.findall(r"{(\w+)}", self.layout))):
            raise ValueError(
                f"layout {self.layout!r} does not say the {' and the '.join(sorted(missing))}: put {{{sorted(missing)[0]}}} into it"
            )
        if self.task == "emotion" and (unknown := sorted(set(self.labels.values()) - set(EMOTIONS))):
            raise ValueError(f"labels lead to {', '.join(unknown)}; emotions are {', '.join(EMOTIONS)}")
        if self.name in card_names():
            raise ValueError(f"a corpus is called {self.name} already: choose another name")
        return self


def find(name: str, root: str | Path | None) -> Path | None:
    """The folder of a corpus of one's own: `root`, or `$SERCORE_CORPORA/<name>`; None where no `corpus.yml` lies there."""
    everywhere = os.environ.get("SERCORE_CORPORA")
    folder = Path(root) if root else Path(everywhere) / name if everywhere else None
    return folder if folder and (folder / CARD).is_file() else None


def read(name: str, root: Path) -> tuple[Card, pd.DataFrame]:
    """Card and item table of a corpus of one's own.

    Args:
        name: what it is asked for as; `corpus.yml` must say the same.
        root: folder with `corpus.yml` and the recordings.

    Returns:
        A card like that of any corpus, its counts those of the table; and the item table. Nothing is decoded.

    Raises:
        CorpusError: one line that names the file (and row) and the mend, for each kind of mistake: a faulty `corpus.yml`, a missing
            column or file, a recording listed twice or outside the folder, no speaker, a label that `corpus.yml` does not list.
    """
    own = _own_card(root / CARD)
    if own.name != name:
        raise CorpusError(f"{root / CARD} is of the corpus {own.name!r}, not {name!r}: ask for it by that name")
    rows = _from_table(own, root) if own.table else _from_layout(own, root)
    items = item_table([_item(own, row) for row in rows])
    return _card(own, root, items), items


def _own_card(path: Path) -> OwnCard:
    try:
        return OwnCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} cannot be read as YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise CorpusError(f"{path}: {'.'.join(map(str, first['loc'])) or 'card'}: {first['msg'].removeprefix('Value error, ')}") from error


def _from_table(own: OwnCard, root: Path) -> list[dict[str, str]]:
    """Rows of the CSV file, each checked; `where` says where a row stands."""
    table = root / own.table
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{table} cannot be read ({error}): it is the table that {CARD} names, as UTF-8 text") from error
    head = text.partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=";" if ";" in head and "," not in head else ",", restkey="", restval=""
    )
    columns = reader.fieldnames or []
    if missing := [column for column in ("path", "speaker", own.task) if column not in columns]:
        raise CorpusError(f"{table} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {', '.join(columns) or 'none'}")
    rows, first = [], dict[tuple[str, str], int]()
    for row in ({key: str(value).strip() for key, value in line.items() if key} for line in reader):
        where, path = f"{table}, line {reader.line_num}", row["path"]
        if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise CorpusError(f"{where}: {path!r} is no path inside {root}: write it from there on")
        if not (root / path).is_file():
            raise CorpusError(f"{where}: there is no file {root / path}: correct the path, or take the line out")
        if (before := first.setdefault((path, row.get("start_s", "")), reader.line_num)) != reader.line_num:
            raise CorpusError(f"{where}: {path} stands in line {before} already: take one of the two out, or give start_s and end_s")
        rows.append({**row, "where": where})
    return rows


def _from_layout(own: OwnCard, root: Path) -> list[dict[str, str]]:
    """What the path of every recording says."""
    parts = re.split(r"{(\w+)}", own.layout)
    pattern = re.compile("".join(f"(?P<{part}>[^/]+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts)))
    rows = []
    for path in names.audio_files(root):
        relative = path.relative_to(root)
        match = pattern.fullmatch(relative.with_suffix("").as_posix())
        if not match:
            raise CorpusError(f"{path} does not fit the layout {own.layout!r} of {CARD}: rename it, or take it out of the folder")
        rows.append({**match.groupdict(), "path": relative.as_posix(), "where": str(path)})
    if not rows:
        raise CorpusError(f"{root} holds no recording (.wav or .flac): put them beside {CARD}")
    return rows


def _item(own: OwnCard, row: dict[str, str]) -> dict[str, str | float]:
    """A row as an item: its label must be one that the card lists, its speaker must be said."""
    if not row["speaker"]:
        raise CorpusError(f"{row['where']}: it is not said who speaks: fill in the speaker, no split can be made without")
    if row[own.task] not in own.labels:
        raise CorpusError(f"{row['where']}: the label {row[own.task]!r} is not among the labels of {CARD}: {', '.join(own.labels)}")
    stem = str(PurePosixPath(row["path"]).with_suffix(""))
    item: dict[str, str | float] = {key: value for key, value in row.items() if key != "where"}
    for column in ("start_s", "end_s", "valence", "arousal", "dominance"):
        try:
            item[column] = float(row.get(column) or "nan")
        except ValueError as error:
            raise CorpusError(f"{row['where']}: {column} {row[column]!r} is no number") from error
    start = row.get("start_s", "")
    item |= {"item_id": f"{own.name}/{stem}{f'@{start}' if start else ''}", "source_id": row.get("source_id") or stem}
    return item | {own.task: own.labels[row[own.task]], "language": row.get("language") or next(iter(own.languages), ""), "audio_id": ""}


def _card(own: OwnCard, root: Path, items: pd.DataFrame) -> Card:
    """The card of the table: what is counted, not what should be there."""
    genders = items.groupby("speaker")["gender"].first()
    known = {"female", "male"}
    shared = own.model_dump(exclude={"labels", "table", "layout", "title"})
    columns = ", ".join(column for column in items if column in ITEM_COLUMNS and items[column].ne("").any())
    return Card(
        **shared,
        title=own.title or own.name,
        access=f"Your own; the folder with {CARD}.",
        audio_may_be_embedded=False,
        sample_rate_hz=_rate(root / items["path"].iloc[0]),
        files=len(items),
        classes=dict(Counter(items[own.task])),
        speakers=dict(Counter(items["speaker"])),
        genders={speaker: gender if gender in known else "not stated" for speaker, gender in genders.items()},
        reader_expects=own.layout or f"{own.table} with {columns}",
        label_files=own.table or f"the names of the files ({own.layout})",
        layout_source=CARD,
        layout_verified=True,
    )


def _rate(path: Path) -> int:
    """Sampling rate of a recording in hertz, from its head."""
    try:
        return int(soundfile.info(path).samplerate)
    except (soundfile.LibsndfileError, OSError) as error:
        raise CorpusError(f"{path} cannot be decoded ({error}): replace it, or take it out") from error
