"""Golden predictions: behaviour that changes without a raised REVISION would put new numbers under the names of old runs."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from sercore.layers import recurrent

HERE = Path(__file__).parent


def generator():
    spec = importlib.util.spec_from_file_location("make_behaviour", HERE / "make_behaviour.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(found, stored):
    """Units whose numbers moved under an unchanged REVISION, and units that are not stored or are stale."""
    moved = []
    for name, entry in found.items():
        old = stored.get(name)
        if old is None or old["revision"] != entry["revision"]:
            moved.append(f"{name}: revision {entry['revision']} has no golden numbers: run tests/golden/make_behaviour.py")
        elif len(old["values"]) != len(entry["values"]) or not np.allclose(old["values"], entry["values"], rtol=2e-3, atol=2e-3):
            moved.append(
                f"{name}: behaviour changed under revision {entry['revision']}: raise REVISION, then run tests/golden/make_behaviour.py"
            )
    return moved


@pytest.fixture(scope="module")
def stored():
    return json.loads((HERE / "behaviour.json").read_text())


def test_behaviour_is_that_of_its_revision(stored):
    found = generator().behaviour()
    assert differences(found, stored) == []
    assert set(found) == set(stored)


def test_change_without_a_raised_revision_is_caught(stored, monkeypatch):
    """The planted fault: a forget bias of 2 where the definition says 1."""
    original = recurrent.initialise_lstm
    monkeypatch.setattr("sercore.models.reslstm_sa.initialise_lstm", lambda lstm, kind, forget_bias: original(lstm, kind, 2.0))
    moved = differences(generator().behaviour(), stored)
    assert any("model.reslstm_sa_h64.definition" in line and "raise REVISION" in line for line in moved)
    assert not any("released" in line or "features" in line for line in moved)


def test_writing_the_numbers_anew_does_not_hide_a_change():
    old, new = {"a": {"revision": 1, "values": [0.0]}}, {"a": {"revision": 1, "values": [1.0]}, "b": {"revision": 1, "values": [2.0]}}
    assert generator().renewed(new, old) == {"a": old["a"], "b": new["b"]}
    assert differences(new, generator().renewed(new, old)) == [
        "a: behaviour changed under revision 1: raise REVISION, then run tests/golden/make_behaviour.py"
    ]
