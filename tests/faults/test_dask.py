"""Sweeps on a Dask cluster started by hand: its workers killed, its scheduler killed, an address that does not answer."""

import socket
import time

import pandas as pd
import pytest

from sercore.errors import SchedulerError, SpecError
from sercore.schedulers import connect
from sercore.sweep import run_all
from tests.faults.sweeping import Meanwhile, Place, kill, refusal, spec, until

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'sercore[dask]'")


def test_all_workers_killed_lose_nothing_and_results_are_those_of_one_process(cluster, place, tmp_path, office, monkeypatch):
    specs = [spec(seed) for seed in range(3)]

    def fault():
        place.started(2)
        assert kill(cluster.workers()) == 2

    with Meanwhile(fault):
        done = run_all(specs, place.roots, cluster.address, progress=False)
    assert (done.ran, done.failed) == (3, [])
    assert sorted(place.sittings().values()) == [1, 2, 2]
    assert place.trained_once()
    alone = Place(tmp_path, office, "alone")
    monkeypatch.setenv("SERCORE_STORE", str(alone.store))
    (record,) = run_all(specs[:1], alone.roots, "", progress=False).records
    mine, theirs = (where.runs.predictions(record["run_id"]) for where in (alone, place))
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


def test_a_run_whose_worker_is_killed_each_time_is_lost_and_the_sweep_goes_on(cluster, place):
    """This cluster begins a run three times at most."""
    victim = place.name_of(spec(0, epochs=100_000))

    def fault():
        for attempt in (1, 2, 3):
            until(lambda n=attempt: place.begun(victim) == n and place.holder(victim, cluster.workers()))
            kill([place.holder(victim, cluster.workers())])

    with Meanwhile(fault):
        done = run_all([spec(0, epochs=100_000)], place.roots, cluster.address, progress=False)
        more = run_all([spec(1, epochs=3)], place.roots, cluster.address, progress=False)
    (failure,) = done.failed
    assert (failure["run_id"], failure["kind"], failure["attempts"]) == (victim, "lost", 3)
    assert more.ran == 1


@pytest.mark.slow  # half a minute and more: the client waits ten seconds for the scheduler to come back
def test_a_scheduler_killed_in_mid_run_is_one_line_and_a_new_sweep_goes_on(place, tmp_path_factory):
    from tests.faults.conftest import Cluster

    mine = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        specs = [spec(0, epochs=3), spec(1, epochs=1500), spec(2, epochs=1500)]
        client = place.client(specs, mine.address)
        until(lambda: place.sittings())
        place.started(2)
        finished = place.sittings()
        mine.scheduler.kill()
        line = refusal(client)
        assert "is gone" in line
        assert "finished runs are kept" in line
    finally:
        mine.close()
    again = run_all(specs, place.roots, progress=False)
    assert again.found == len(finished)
    assert again.found + again.ran == 3
    sittings = place.sittings()
    assert all(sittings[name] == 1 for name in finished)
    assert sorted(sittings.values()) == [1, 2, 2]
    assert [place.runs.history(name)["epoch"].is_unique for name in sittings] == [True] * 3


def test_addresses_that_are_none_or_do_not_answer_are_refused_within_ten_seconds(place):
    with pytest.raises(SpecError, match="write tcp://host:port"):
        connect("tcp://nowhere")
    with socket.socket() as silent, socket.socket() as closed:
        for one in (silent, closed):
            one.bind(("127.0.0.1", 0))
        silent.listen()
        for one in (silent, closed):
            started = time.monotonic()
            with pytest.raises(SchedulerError, match="does not answer within 10 s"):
                connect(f"tcp://127.0.0.1:{one.getsockname()[1]}")
            assert time.monotonic() - started < 15
