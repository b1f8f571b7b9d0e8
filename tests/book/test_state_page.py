"""The generated part of the landing page says what the ledger says."""

from state_page import numbers_section, runs_section, table

STATE = {
    "total": 5,
    "judged": 3,
    "by_verdict": {"reproduced": 3, "not run": 2},
    "by_source": {"thesis": {"reproduced": 1, "not run": 2}, "faca2022": {"reproduced": 2}},
}
GROUP = {"system": "A|B", "corpus": "ravdess", "protocol": "strict", "variant": "definition", "folds": 5, "seeds": 10, "uar": "50.0 %"}


def test_numbers_are_counted_by_verdict_and_source():
    lines = numbers_section(STATE).splitlines()
    assert lines[0].startswith("**3 of 5 published numbers judged**")
    assert lines[2:] == [
        "| verdict | thesis | FACA 2022 | all |",
        "| --- | --- | --- | --- |",
        "| reproduced | 1 | 2 | **3** |",
        "| not run | 2 | 0 | **2** |",
        "| **numbers** | **3** | **2** | **5** |",
    ]


def test_stored_runs_are_listed_with_date_and_device():
    shown = runs_section([GROUP | {"last run (UTC)": "2026-01-02 03:04", "device": "cpu"}])
    assert shown.splitlines()[-1].startswith("from: [published numbers and settings](runs/inputs.md)")
    assert shown.splitlines()[-4] == "| A\\|B | ravdess | strict, definition | 5 x 10 | 50.0 % | 2026-01-02 03:04 | cpu |"
    assert runs_section([]) == "No full run is stored yet."


def test_a_bar_in_a_cell_does_not_break_the_table():
    assert table(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"
