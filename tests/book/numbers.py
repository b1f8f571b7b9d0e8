"""Where a number on a page comes from: its chapter's executed notebook, which comes from stored runs; never from someone's keyboard."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup, Tag

from sercore import ledger
from sercore.results import Results

#: A number that reads like a measurement: per cent and points, a score by name, a fraction of two digits or more.
RESULT = re.compile(
    r"(?<![\w.])[-+±]?\d[\d.,]*\s?(?:%|per cent|percent|percentage points?|points?\b|pp\b)"
    r"|\b(?:UAR|WA|UA|accuracy|recall|CCC|F1|score|silhouette|p)\b\W{0,3}(?:of|is|was|at|about|near|below|above)?\W{0,3}\d?\.\d+"
    r"|(?<![\w.-])0\.\d\d+\b",
    re.IGNORECASE,
)
#: Text of the README's picture: written by book/picture.py, held by a test of its own (test_docs.py).
GENERATED = re.compile(r"!\[[^\]]*\]\(book/_static/published_and_ours\.png\)")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def prose(path: Path) -> str:
    """What a reader of a source file is told: Markdown cells of a chapter, a page without its code blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        cells = re.split(r"^# %%", text, flags=re.MULTILINE)
        said = [cell.partition("\n")[2] for cell in cells if cell.startswith(" [markdown]")]
        text = re.sub(r"^# ?", "", "\n".join(said), flags=re.MULTILINE)
    text = GENERATED.sub("", text)
    return re.sub(r"^```(?!\{).*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def typed_results(text: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """Numbers in prose that read like a measurement, each with the words before it, but for the phrases that are allowed.

    Args:
        text: of `prose`.
        allowed: phrases that hold a number and no result.
    """
    plain = " ".join(text.split())
    for phrase in allowed:
        plain = plain.replace(phrase, " ")
    return [plain[max(0, found.start() - 40) : found.end()].strip() for found in RESULT.finditer(plain)]


# --- a page and the notebook it was made from ---------------------------------------------------------------------------------------------


def _cells(table: Tag) -> list[str]:
    return [" ".join(cell.get_text(" ").split()) for cell in table.find_all(["th", "td", "caption"])]


def _page_outputs(soup: BeautifulSoup) -> list[Tag]:
    return [output for output in soup.select(".cell_output") if output.find_parent(class_="cell_output") is None]


def _notebook_outputs(notebook: Any) -> list[tuple[str, str]]:
    """Kind and text of every output that a page can show, the richest form of each."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            kinds = [kind for kind in ("text/html", "text/markdown", "text/plain") if kind in data]
            if output.output_type == "stream" and output.name == "stdout":
                found.append(("text/plain", output.text))
            elif kinds:
                found.append((kinds[0], data[kinds[0]]))
    return found


def altered(soup: BeautifulSoup, notebook: Any) -> list[str]:
    """Tables and numbers in the outputs of a page that its executed notebook does not have.

    Args:
        soup: a chapter's page.
        notebook: the executed notebook.
    """
    outputs = [(kind, BeautifulSoup(text, "html.parser") if kind == "text/html" else text) for kind, text in _notebook_outputs(notebook)]
    made = [_cells(table) for _, html in outputs if isinstance(html, BeautifulSoup) for table in html.find_all("table")]
    shown = [_cells(table) for output in _page_outputs(soup) for table in output.find_all("table")]
    wrong = [f"a table that the notebook has not: {table[:3]}" for table in shown if table not in made]
    for here, there in ((a, b) for a, b in zip(shown, made, strict=False) if a != b and len(shown) == len(made)):
        wrong += [f"the page says {a!r}, the notebook {b!r}" for a, b in zip(here, there, strict=False) if a != b][:3]
    known: Counter[str] = Counter()
    for _, text in outputs:
        known.update(NUMBER.findall(text.get_text(" ") if isinstance(text, BeautifulSoup) else text))
    said: Counter[str] = Counter()
    for output in _page_outputs(soup):
        said.update(NUMBER.findall(output.get_text(" ")))
    return wrong + [f"the number {number} is not in the notebook's outputs" for number in said - known]


def unfinished(notebook: Any) -> list[str]:
    """Code cells of an executed notebook that did not run, or ended with an error."""
    wrong = []
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code" and c.source.strip()), 1):
        if cell.execution_count is None:
            wrong.append(f"code cell {number} was not executed")
        wrong += [f"code cell {number} ended with {out.ename}" for out in cell.outputs if out.output_type == "error"]
    return wrong


# --- a score and the counts it follows from -----------------------------------------------------------------------------------------------


def scores_from_counts(results: Results) -> dict[tuple[str, str, str], set[str]]:
    """UAR of every stored group as a page prints it, derived a second way: with plain sums, and nothing of `sercore.metrics`.

    Returns:
        (system as pages call it, corpus, protocol) -> the printed forms, one a variant and split.
    """
    found: dict[tuple[str, str, str], set[str]] = {}
    for group in results.groups.to_dict("records"):
        rows = results.counts[results.counts["group"] == group["group"]]
        scores = []
        for _, seed in rows.groupby("seed"):
            per_class = {}
            for truth, part in seed.groupby("truth"):
                per_class[truth] = part[truth].sum() / part[results.labels(group["group"])].to_numpy().sum()
            scores.append(sum(per_class.values()) / len(per_class))
        key = (ledger.label(group["system"], group.get("settings", "")), group["corpus"], group["protocol"])
        found.setdefault(key, set()).add(f"{100 * sum(scores) / len(scores):.1f}")
    return found


def stored_scores(soup: BeautifulSoup) -> list[tuple[tuple[str, str, str], str]]:
    """Every stored score of a page's tables of runs: (system, corpus, protocol) and the printed UAR without its interval."""
    found = []
    for table in soup.find_all("table"):
        rows = [[" ".join(cell.get_text(" ").split()) for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]
        head = rows[0] if rows else []
        score = next((name for name in head if name.startswith("UAR")), None)
        if score is None or "system" not in head:
            continue
        for row in (dict(zip(head, cells, strict=False)) for cells in rows[1:] if len(cells) == len(head)):
            if "from" in row and not row["from"].startswith("stored"):
                continue
            rules = row.get("rules", "").partition(",")[0]
            corpus, _, protocol = row.get("corpus, protocol", f"{row.get('corpus')}, {rules}").partition(", ")
            if number := re.match(r"\d+\.\d", row[score]):
                found.append(((row["system"], corpus, protocol), number[0]))
    return found


def wrong_scores(soup: BeautifulSoup, results: Results) -> list[str]:
    """Stored scores on a page that do not follow from the published counts."""
    known = scores_from_counts(results)
    wrong = [(key, score) for key, score in stored_scores(soup) if score not in known.get(key, ())]
    return [f"{' '.join(key)}: {score} %, the counts give {known.get(key)}" for key, score in wrong]


def read_notebook(path: Path) -> Any:
    return nbformat.read(path, as_version=4)
