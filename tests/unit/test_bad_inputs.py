"""Bad input: one line that names the thing and the mend, exit code 1, nothing lost; and a full disk, after which runs go on."""

import pandas as pd
import pytest

from sercore.store import RunStore
from tests.bad_inputs import (
    BEGIN,
    BOOK_CASES,
    CASES,
    CHAPTER_CASES,
    DISK_CASES,
    END,
    FILL,
    PAGE,
    RUN_CASES,
    Bench,
    Case,
    Outcome,
    faults,
    row,
    small_disk,
)  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def committed_rows() -> list[str]:
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]


@pytest.mark.parametrize("name", RUN_CASES)
def test_a_bad_input_is_one_line_and_loses_nothing(bench, name):
    outcome = RUN_CASES[name].do(bench)
    assert faults(RUN_CASES[name], outcome) == []
    assert row(RUN_CASES[name], outcome) in committed_rows(), "python -m tests.bad_inputs --write brings the page up to date"


@pytest.mark.slow
@pytest.mark.parametrize("name", {**DISK_CASES, **CHAPTER_CASES, **BOOK_CASES})
def test_the_same_where_programs_are_started(bench, name):
    try:
        outcome = CASES[name].do(bench)
    except PermissionError as error:
        pytest.skip(str(error))
    assert faults(CASES[name], outcome) == []
    assert row(CASES[name], outcome) in committed_rows(), "python -m tests.bad_inputs --write brings the page up to date"


def test_the_page_has_every_case_once():
    assert [line.split(" | ")[0].removeprefix("| ") for line in committed_rows()] == [case.what for case in CASES.values()]


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (Outcome("c", ("error: a.wav is bad: replace it", "and more"), 1), "2 lines"),
        (Outcome("c", (), 1), "0 lines"),
        (Outcome("c", ("error: a.wav is bad: replace it",), 0), "exit code 0"),
        (Outcome("c", ("error: it is bad: replace it",), 1), "does not name"),
        (Outcome("c", ("error: a.wav is bad",), 1), "does not say"),
        (Outcome("c", ("error: a.wav is bad: replace it",), 1, kept=False), "lost"),
    ],
)
def test_a_promise_that_is_not_kept_is_caught(outcome, says):
    assert any(says in fault for fault in faults(Case("x", lambda bench: outcome, "a.wav", "replace it"), outcome))


def test_a_recording_that_is_changed_is_caught(bench):
    """What `kept` looks at: the state before is not part of the state after, where a file was replaced or a run touched."""
    before = bench.state()
    (run,) = (bench.folder / "store/runs").glob("*/history.csv")
    text = run.read_bytes()
    run.write_bytes(text + b"x")
    assert not before.items() <= bench.state().items()
    run.write_bytes(text)
    assert before.items() <= bench.state().items()


LIMIT = """
import resource as limits
def full(*_):
    limits.setrlimit(limits.RLIMIT_FSIZE, (400, limits.getrlimit(limits.RLIMIT_FSIZE)[1]))
{where}
"""
#: Where in a run the system takes no more bytes -> how to get there, and the file that is then named.
STAGES = {
    "hashing": ("full()", "cache/audio_ids/emodb.json"),
    "features": (
        "import sercore.experiment as e; p = e.prepare; e.prepare = lambda *a, **k: (full(), p(*a, **k))[1]",
        "cache/features/emodb",
    ),
    "training": (
        "s = train._save; n = []; train._save = lambda *a: (s(*a), n.append(1), len(n) == 2 and full())",
        "checkpoint.safetensors",
    ),
    "finishing": ("f = train.fit; train.fit = lambda *a, **k: (f(*a, **k), full())[0]", "weights.safetensors"),
}


@pytest.fixture(scope="module")
def uninterrupted(bench) -> pd.DataFrame:
    done = bench.sercore("run", "network.yml", "--root", "emodb=whole", "--quiet", store="uninterrupted")
    assert done.code == 0, done.lines
    return predictions(bench, "uninterrupted")


def predictions(bench: Bench, store: str) -> pd.DataFrame:
    runs = RunStore(bench.folder / store)
    assert runs.records()["status"].tolist() == ["finished"]
    return runs.predictions(runs.records()["run_id"].item())


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_takes_no_more_is_one_line_and_the_run_goes_on_bit_for_bit(bench, uninterrupted, stage):
    where, named = STAGES[stage]
    store = f"limit_{stage}"
    outcome = bench.hooked(LIMIT.format(where=where), "run", "network.yml", "--root", "emodb=whole", "--quiet", store=store)
    assert outcome.code == 1
    (line,) = outcome.lines
    assert line.startswith("error: ")
    assert named in line
    assert "free some space" in line
    assert outcome.kept
    halves = [path for path in (bench.folder / store).rglob("*") if path.suffix[1:].isdigit()]
    assert halves == [], "half a file is left"
    again = bench.sercore("run", "network.yml", "--root", "emodb=whole", "--quiet", store=store)
    assert again.code == 0, again.lines
    pd.testing.assert_frame_equal(predictions(bench, store), uninterrupted, check_exact=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_bit_for_bit(bench, uninterrupted):
    """The same with a disk that is really full (in its third epoch), where one can be mounted."""
    with small_disk(bench.folder / "tmpfs") as mounted:
        if not mounted:
            pytest.skip("no small disk can be mounted here: the test above limits the size of files instead")
        outcome = bench.hooked(FILL, "run", "network.yml", "--root", "emodb=whole", "--quiet", store="tmpfs")
        assert outcome.code == 1
        (line,) = outcome.lines
        assert "No space left on device" in line
        assert "checkpoint.safetensors" in line
        assert RunStore(bench.folder / "tmpfs").records()["status"].tolist() == ["interrupted"]
        (bench.folder / "tmpfs/ballast").unlink()
        history = RunStore(bench.folder / "tmpfs").folder
        assert list(history.glob("*.partial/checkpoint.safetensors")), "nothing to go on from"
        assert bench.sercore("run", "network.yml", "--root", "emodb=whole", "--quiet", store="tmpfs").code == 0
        pd.testing.assert_frame_equal(predictions(bench, "tmpfs"), uninterrupted, check_exact=True)
