"""The page of all corpora: Markdown, a section a corpus from its card, with its committed folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sercore.data.card import Card, load_card
from sercore.data.corpora import CORPORA
from sercore.data.folds import FOLD_TABLES, POSITIONAL, FoldTable
from sercore.data.splits import SCHEMES

#: Up to so many classes or speakers are written out.
_WRITTEN_OUT = 12


def corpora_page() -> str:
    """Overview and sections as Markdown, without a title.

    Returns:
        Text that depends on the cards and the fold tables alone; equal for equal ones.
    """
    cards = [load_card(name) for name in CORPORA]
    verified = sum(card.layout_verified for card in cards)
    head = (
        f"{len(cards)} corpora can be read. Of {verified} a real copy (or a sample, where its section says so) has passed the check; the "
        "layout of the others is that of the documentation which each names, and is not verified before a copy has been seen."
    )
    rows = [
        [f"[{c.name}](#corpus-{_anchor(c.name)})", c.task, _number(c.files), _number(_speakers(c)), _download(c), _layout(c)] for c in cards
    ]
    overview = _table(["corpus", "task", "files", "speakers", "`corpora fetch`", "layout"], rows)
    return "\n\n".join([head, overview, *(section(card) for card in cards)]) + "\n"


def section(card: Card) -> str:
    """One corpus: what its card says, in the order in which a reader asks.

    Args:
        card: its card.

    Returns:
        Markdown with a heading of the second level and an anchor `corpus-<name>`.
    """
    said = {
        "Licence": card.licence,
        "How to get it": card.access,
        "Recordings": _recordings(card),
        "Classes": _counts(card.classes),
        "Speakers": _people(card),
        "Labels": card.label_process,
        "Label codes": ", ".join(f"`{code}` {label}" for code, label in card.label_map.items()),
        "Consent": card.consent,
        "Expected in the folder": card.reader_expects,
        "Layout": f"{_layout(card)}; documented in {card.layout_source}",
        "Cite": card.citation,
    }
    parts = [f"(corpus-{_anchor(card.name)})=\n## {card.name}: {card.title}"]
    parts.append("\n".join(f"- **{what}.** {_plain(text)}" for what, text in said.items() if text))
    if card.known_defects:
        parts.append("Known oddities of the release, which the check notes:")
        parts.append(
            "\n".join(f"- {_defect_files(d.files, d.at_most)}{d.kind.replace('_', ' ')}: {_plain(d.note)}" for d in card.known_defects)
        )
    if card.caveats:
        parts.append("To keep in mind:")
        parts.append("\n".join(f"- {_plain(caveat)}" for caveat in card.caveats))
    if folds := _folds(card):
        parts.append("Folds that are laid down:")
        parts.append(folds)
    return "\n\n".join(parts)


def tables_of(card: Card) -> Mapping[str, FoldTable]:
    """The committed fold tables that fit a corpus: those that test exactly its speakers."""
    return {
        scheme: table
        for scheme, table in FOLD_TABLES.items()
        if sorted(speaker for fold in table.folds for speaker in fold.test) == sorted(card.speakers)
    }


def _folds(card: Card) -> str:
    lines = [
        f"- `{scheme}`, {SCHEMES[scheme][0]} folds, {_needs(table.leaks)}, fingerprint `{table.fingerprint}`. {_plain(table.source)}"
        for scheme, table in tables_of(card).items()
    ]
    if (home := CORPORA[card.name].home) in POSITIONAL:
        whose = "the folds of the released generator of the thesis' systems, which goes round the list of speakers"
        lines.append(f"- `positional_1`, `positional_2`, `positional_4`, {_needs(POSITIONAL[home]['leaks'])}: {whose}.")
    return "\n".join(lines)


def _needs(leaks: tuple[str, ...]) -> str:
    return f"declares {', '.join(f'`{leak}`' for leak in leaks)}" if leaks else "no leak"


def _layout(card: Card) -> str:
    return "verified" if card.layout_verified else "not verified"


def _download(card: Card) -> str:
    size = sum(download.size_bytes for download in card.downloads)
    return f"{size / 1e6:,.0f} MB" if size else "steps only"


def _recordings(card: Card) -> str:
    rate = f"{card.sample_rate_hz:,} Hz".replace(",", " ") if card.sample_rate_hz else ""
    heard = "" if card.channel is None else f"channel {card.channel + 1} of those in a file is read"
    parts = _counts(card.parts)
    return "; ".join(text for text in (f"{card.files} files" if card.files else "", rate, ", ".join(card.languages), parts, heard) if text)


def _people(card: Card) -> str:
    if not (number := _speakers(card)):
        return ""
    sexes = Counter(card.genders.values())
    kinds = {"female": "women", "male": "men", "not stated": "not stated"}
    text = ", ".join(f"{sexes[sex]} {name}" for sex, name in kinds.items() if sexes[sex])
    text = f"{number} ({text})" if text else str(number)
    counts = set(card.speakers.values())
    if counts == {0}:
        return f"{text}; the source does not say how many recordings each has"
    return f"{text}: {_counts(card.speakers)}" if 0 < len(card.speakers) <= _WRITTEN_OUT else text


def _speakers(card: Card) -> int:
    return len(card.speakers) or card.n_speakers


def _counts(counts: Mapping[str, int]) -> str:
    if len(counts) > _WRITTEN_OUT:
        low, high = min(counts.values()), max(counts.values())
        return f"{len(counts)}, of {low} to {high} files each"
    return ", ".join(f"{label} {count}" for label, count in counts.items())


def _defect_files(files: tuple[str, ...], at_most: int) -> str:
    shown = ", ".join(f"`{name}`" for name in files[:4]) + (" ..." if len(files) > 4 else "")
    return f"{shown}: " if files else f"up to {at_most}: " if at_most else ""


def _anchor(name: str) -> str:
    return name.replace("_", "-")


def _number(count: int) -> str:
    return str(count) if count else "not fixed"


def _plain(text: str) -> str:
    """Text of a card inside Markdown: what would be markup is escaped, addresses become links."""
    words = []
    for word in " ".join(text.split()).split(" "):
        bare = word.rstrip(").,;:")
        if bare.lstrip("(").startswith(("http://", "https://")):
            lead = word[: len(word) - len(word.lstrip("("))]
            words.append(f"{lead}<{bare.lstrip('(')}>{word[len(bare) :]}")
        elif word.startswith("`"):
            words.append(word)
        else:
            words.append(word.replace("*", "\\*").replace("_", "\\_").replace("[", "\\[").replace("<", "&lt;").replace("$", "\\$"))
    return " ".join(words)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
