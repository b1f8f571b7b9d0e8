"""Specs: frozen, canonical, and refusing contradictions."""

import pytest
from pydantic import ValidationError

from sercore.spec import PAPER_LEAKS, DataSpec, FeatureSpec, ModelSpec, RunSpec, SplitSpec, digest, run_id


def spec(**changes):
    base = {"data": {"corpus": "synthetic"}, "split": {"scheme": "speakers_4"}, "model": {"name": "lstm_sa_h32"}}
    return RunSpec.model_validate({**base, **changes})


def test_canonical_form_is_the_same_whatever_the_order_it_was_written_in():
    one = spec(leaks=("tuned_on_test", "global_normaliser"), source="reslstm2026")
    two = RunSpec(
        source="reslstm2026", leaks=("global_normaliser", "tuned_on_test"), model=ModelSpec(name="lstm_sa_h32"),
        split=SplitSpec(scheme="speakers_4"), data=DataSpec(corpus="synthetic"),
    )  # fmt: skip
    assert one == two
    assert digest(one.canonical()) == digest(two.canonical())
    assert RunSpec.model_validate(one.canonical()) == one


def test_run_id_changes_with_everything_that_can_change_a_result():
    base = run_id(spec(), "data", {"model": 1})
    others = [
        run_id(spec(seed=1), "data", {"model": 1}), run_id(spec(threads=2), "data", {"model": 1}), run_id(spec(), "other", {"model": 1}),
        run_id(spec(), "data", {"model": 2}), run_id(spec(leaks="global_normaliser"), "data", {"model": 1}),
    ]  # fmt: skip
    assert len({base, *others}) == 6


def test_protocol_is_read_from_the_leaks():
    assert spec().protocol == "strict"
    paper = PAPER_LEAKS["reslstm2026"]
    assert spec(leaks=paper, source="reslstm2026").protocol == "paper"
    assert spec(leaks=paper).protocol == "leaks: global_normaliser+tuned_on_test"
    assert spec(leaks=("global_normaliser",), source="reslstm2026").protocol == "leaks: global_normaliser"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"leaks": ("speaker",)}, "known: speaker_overlap"),
        ({"source": "nobody"}, "no paper protocol"),
        ({"seeds": 3}, "Extra inputs"),
        ({"features": {"window_ms": 10, "hop_ms": 20}}, "longer than window_ms"),
        ({"training": {"learning_rate": float("nan")}}, "finite"),
        ({"training": {"epochs": 0}}, "greater than or equal to 1"),
        ({"model": {"name": "x", "variant": "paper"}}, "definition"),
    ],
)
def test_contradictions_and_misspelt_fields_are_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        spec(**changes)


def test_spec_is_frozen():
    with pytest.raises(ValidationError):
        spec().seed = 3


def test_feature_dimensions_are_the_papers():
    assert FeatureSpec().dimensions == 46
