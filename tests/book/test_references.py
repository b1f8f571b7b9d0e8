"""Every entry of the bibliography is cited, every citation has an entry, every term that is linked is in the glossary."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def texts() -> str:
    pages = [*(PROJECT / "book").glob("*.md"), *(PROJECT / "notebooks").glob("*.py")]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def entries(bibliography: str) -> set[str]:
    return set(re.findall(r"^@\w+\{([^,\s]+),", bibliography, flags=re.M))


def cited(text: str) -> set[str]:
    return {key.strip() for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text) for key in keys.split(",")}


def terms(glossary: str) -> set[str]:
    body = re.search(r"```\{glossary\}\n(.*?)\n```", glossary, flags=re.S)
    assert body is not None
    return set(re.findall(r"^([^\s:].*)$", body[1], flags=re.M))


def used(text: str) -> set[str]:
    roles = re.findall(r"\{term\}`([^`]+)`", text)
    return {(re.search(r"<(.+)>$", role) or re.match(r"(.+)", role))[1] for role in roles}


def test_entries_and_citations_are_the_same():
    bibliography = (PROJECT / "book/references.bib").read_text(encoding="utf-8")
    assert cited(texts()) == entries(bibliography)


def test_an_entry_that_nobody_cites_is_caught():
    assert entries("@article{a1,\n}\n@book{b2,\n}") - cited("{cite:p}`a1` and {cite:t}`c3,d4`") == {"b2"}


def test_terms_that_are_linked_are_in_the_glossary():
    known = terms((PROJECT / "book/glossary.md").read_text(encoding="utf-8"))
    assert {"UAR", "leak", "sealed evaluator", "speaker-disjoint", "run", "group", "tap"} <= known
    assert used(texts()) - known == set()


def test_a_term_that_is_not_in_the_glossary_is_caught():
    assert used("{term}`Leaks <leak>` and {term}`gone`") - terms("```{glossary}\nleak\n  Something.\n```") == {"gone"}
