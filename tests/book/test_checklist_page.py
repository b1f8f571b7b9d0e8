"""Answers of the reproducibility checklist are computed: take a fact away and the answer falls."""

from dataclasses import replace
from pathlib import Path

import checklist_page as page
import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def facts() -> page.Facts:
    return page.gather(PROJECT)


def test_all_questions_have_an_answer_with_its_evidence(facts):
    answers = [answer(facts) for _, _, answer in page.ITEMS]
    assert len(answers) == 21
    assert {status for status, _ in answers} <= {page.MET, page.PARTLY, page.NOT_MET, page.NO}
    assert all(said for _, said in answers)


def test_the_page_counts_its_answers(facts):
    text = page.checklist(facts)
    counts = [text.count(f"**{status}**") for status in (page.MET, page.PARTLY, page.NOT_MET, page.NO)]
    assert sum(counts) == 21
    assert text.startswith(f"Of 21 questions: {counts[0]} met, {counts[1]} partly, {counts[2]} not met, {counts[3]} does not apply.")


@pytest.mark.parametrize(
    ("answer", "change"),
    [
        (page.number_of_runs, {"groups": []}),
        (page.hyper_parameters, {"trials": []}),
        (page.hyper_parameters, {"specs": {}}),
        (page.variation, {"runs": []}),
        (page.run_time, {"runs": []}),
        (page.infrastructure, {"runs": []}),
        (page.complexity, {"runs": []}),
        (page.dependencies, {"root": Path("nowhere")}),
        (page.training_code, {"root": Path("nowhere")}),
        (page.evaluation_code, {"root": Path("nowhere")}),
        (page.measures, {"root": Path("nowhere")}),
        (page.commands, {"root": Path("nowhere")}),
        (page.access, {"cards": {}}),
    ],
)
def test_a_missing_fact_is_caught(facts, answer, change):
    assert answer(facts)[0] != page.NOT_MET
    assert answer(replace(facts, **change))[0] == page.NOT_MET


def test_too_few_seeds_are_caught(facts):
    for seeds, answer in (("5", page.MET), ("3", page.PARTLY)):
        groups = [{**group, "seeds": seeds} for group in facts.groups]
        assert page.number_of_runs(replace(facts, groups=groups))[0] == answer


def test_a_chapter_without_limits_is_caught(facts):
    chapters = [*facts.chapters, {"name": "gone", "title": "Gone"}]
    assert page.assumptions(replace(facts, chapters=chapters)) == (page.PARTLY, "No section on limits in: Gone.")
