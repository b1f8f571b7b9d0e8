"""What dies under a sweep on one machine: workers, the client, memory, the disk; and two sweeps on one store."""

import resource
import signal

import pandas as pd
import psutil
import pytest

from sercore.sweep import run_all
from tests.bad_inputs import small_disk
from tests.faults.sweeping import Meanwhile, Place, answer, kill, refusal, spec, until, workers_below


def test_all_workers_killed_in_mid_run_lose_nothing_and_results_are_those_of_one_process(place, tmp_path, office, monkeypatch):
    specs = [spec(seed) for seed in range(4)]

    def fault():
        place.started(2)
        assert kill(place.workers()) == 2

    with Meanwhile(fault):
        done = run_all(specs, place.roots, "local:2", progress=False)
    assert (done.ran, done.found, done.failed) == (4, 0, [])
    assert sorted(place.sittings().values()) == [1, 1, 2, 2]
    assert place.trained_once()
    assert not list(place.runs.folder.glob("*.partial"))
    assert place.workers() == []
    alone = Place(tmp_path, office, "alone")
    monkeypatch.setenv("SERCORE_STORE", str(alone.store))
    for record in run_all(specs[:2], alone.roots, "", progress=False).records:
        mine, theirs = (where.runs.predictions(record["run_id"]) for where in (alone, place))
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


@pytest.mark.slow  # four workers are started one after the other; the same on a Dask cluster is in the suite
def test_a_run_whose_worker_is_killed_each_time_is_lost_and_the_next_sweep_finishes_it(place):
    def fault():
        for attempt in range(1, 5):
            until(lambda n=attempt: place.begun(victim) == n and place.workers())
            kill(place.workers())

    victim, other = place.name_of(spec(0, epochs=2000)), spec(1, epochs=3)
    with Meanwhile(fault):
        done = run_all([spec(0, epochs=2000), other], place.roots, "local:1", progress=False)
    (failure,) = done.failed
    assert (failure["kind"], failure["attempts"], failure["run_id"]) == ("lost", 4, victim)
    assert "SIGKILL" in failure["message"]
    assert [r["run_id"] for r in done.records] == [place.name_of(other)], "the sweep goes on"
    assert place.runs.records().set_index("run_id").loc[victim, ["status", "failure"]].tolist() == ["failed", "lost"]
    assert run_all([spec(0, epochs=2000)], place.roots, progress=False, retry_failed=False).failed[0]["kind"] == "lost"
    again = run_all([spec(0, epochs=2000)], place.roots, progress=False)
    assert (again.ran, again.again, again.failed) == (1, 1, [])
    assert place.sittings()[victim] == 5
    assert place.runs.failure(victim) is None
    assert place.runs.history(victim)["epoch"].tolist() == list(range(1, 2001))


def test_a_client_killed_takes_its_workers_with_it_and_the_next_goes_on(place):
    specs = [spec(0, epochs=3), spec(1), spec(2)]
    first = place.client(specs, "local:2")
    until(lambda: place.sittings())  # one is finished
    finished = place.sittings()
    stamps = {name: (place.runs.path(name) / "record.json").stat().st_mtime_ns for name in finished}
    begun = place.started(1, frozenset(finished))
    workers = workers_below(first.pid)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    until(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers), 20)
    second = run_all(specs, place.roots, progress=False)
    assert second.found >= len(finished)
    assert second.found + second.ran == 3
    assert {name: (place.runs.path(name) / "record.json").stat().st_mtime_ns for name in finished} == stamps
    sittings = place.sittings()
    assert all(sittings[name] == 1 for name in finished)
    assert any(sittings[name] == 2 for name in begun)
    assert [place.runs.history(name)["epoch"].is_unique for name in sittings] == [True] * 3


def test_a_run_that_raises_and_one_without_memory_are_typed_and_the_others_finish(place):
    """The limit is set on the worker from outside, while it does the first run; the second needs gigabytes."""
    first, last = spec(0), spec(1, epochs=3)
    raises = spec(2, model={"name": "a1", "kernel": (200, 5)})  # a kernel of two hundred frames, recordings of ten
    greedy = spec(
        3, epochs=1, model={"name": "a1"}, features={"kind": "hann_stft", "window_ms": 20, "hop_ms": 5, "pad_to_s": 60},
        training={"epochs": 1, "batch_size": 16},
    )  # fmt: skip
    nowhere = spec(4, fold=9)

    def fault():
        place.started(1)
        (worker,) = place.workers()
        limit = worker.memory_info().vms + 2**27
        resource.prlimit(worker.pid, resource.RLIMIT_AS, (limit, limit))

    with Meanwhile(fault):
        done = run_all([first, raises, greedy, nowhere, last], place.roots, "local:1", progress=False)
    table = done.failures.set_index("run_id")
    assert table.loc[place.name_of(greedy), "kind"] == "memory", table["message"].tolist()
    assert table.loc[place.name_of(raises), "kind"] == "code"
    assert table.loc[place.name_of(nowhere), "kind"] == "data"
    assert not table["message"].str.contains(str(place.store.parent)).any()
    assert sorted(r["run_id"] for r in done.records) == sorted(map(place.name_of, (first, last)))
    assert "3 failed" in done.summary()


def test_a_full_disk_stops_the_sweep_with_one_line_and_it_goes_on_when_there_is_room(tmp_path, office, monkeypatch):
    with small_disk(tmp_path / "disk", "6m") as mounted:
        if not mounted:
            pytest.skip("no small disk can be mounted here: tests/unit/test_bad_inputs.py limits the size of files instead")
        place = Place(tmp_path, office, "disk")
        client = place.client([spec(seed) for seed in range(4)], "local:2")
        place.started(2)
        with open(place.store / "ballast", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        line = refusal(client)
        assert "No space left on device" in line
        assert "free some space" in line
        begun = [p.parent for p in place.runs.folder.glob("*.partial/checkpoint.safetensors")]
        assert begun, "nothing to go on from"
        (place.store / "ballast").unlink()
        monkeypatch.setenv("SERCORE_STORE", str(place.store))
        done = run_all([spec(seed) for seed in range(4)], place.roots, progress=False)
        assert done.found + done.ran == 4
        assert place.trained_once()
        assert max(place.sittings().values()) == 2
        place.close()


def test_two_sweeps_on_one_store_do_nothing_twice_and_one_takes_over_from_the_other(place):
    specs = [spec(seed) for seed in range(4)]
    one = place.client(specs)
    place.started(1)
    two = place.client(specs)
    place.started(2)
    one.send_signal(signal.SIGKILL)
    one.communicate()
    third = run_all(specs, place.roots, progress=False)
    second = answer(two)
    assert second["runs"] == [record["run_id"] for record in third.records] == [place.name_of(s) for s in specs]
    assert second["ran"] + third.ran in (2, 3, 4), "the first may have finished two before both had one in hand"
    assert (second["failed"], third.failed) == ({}, [])
    assert sorted(place.sittings().values()) == [1, 1, 1, 2]
    assert place.trained_once()
