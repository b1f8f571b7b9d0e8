"""Specs: frozen, canonical, and refusing contradictions."""

import pytest
from pydantic import ValidationError

from sercore.spec import PAPER_LEAKS, AntiTransferSpec, DataSpec, FeatureSpec, ModelSpec, RunSpec, ScaleSpec, SplitSpec, digest, run_id


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


def test_fields_added_later_leave_older_names_alone():
    """A spec dumps as it did before these fields were there; set, each of them is in the dump and makes another run."""
    plain = spec()
    assert set(plain.canonical()["model"]) == {"name", "variant", "dropout"}
    assert set(plain.canonical()["features"]) == {"kind", "window_ms", "hop_ms", "n_mfcc", "n_chroma", "n_mels"}
    assert "parents" not in plain.canonical()
    changed = [
        spec(model=ModelSpec(name="mts_a1", scales=ScaleSpec())),
        spec(model=ModelSpec(name="mts_a1", scales=ScaleSpec(time_factors=(0.5, 1, 2)))),
        spec(model=ModelSpec(name="mts_a1", kernel=(5, 5))),
        spec(features=FeatureSpec(kind="hann_stft", power=2 / 3)),
        spec(features=FeatureSpec(kind="hann_stft", pad_to_s=9)),
        spec(features=FeatureSpec(kind="hann_stft", normaliser="scalar")),
        spec(parents=(plain,), model=ModelSpec(name="a1", initial_weights="parent")),
        spec(parents=(plain,), model=ModelSpec(name="a1", initial_weights="parent"), following=(0,)),
        spec(parents=(plain,), model=ModelSpec(name="a1", initial_weights="parent_features", frozen_until="conv_1")),
        spec(parents=(plain,), anti_transfer=AntiTransferSpec(taps=("conv_1",))),
        spec(features=FeatureSpec(kind="stft", segment_s=4, segment_frames=512)),
        spec(data=DataSpec(corpus="synthetic", level_filter_peak=0.005)),
    ]
    names = {run_id(one, "data", {}) for one in changed}
    assert len(names | {run_id(plain, "data", {})}) == len(changed) + 1
    for one in changed:
        assert RunSpec.model_validate(one.canonical()) == one


@pytest.mark.parametrize(
    ("factors", "says"),
    [({"time_factors": (0.7, 1.428)}, "unscaled"), ({"time_factors": (1, 1, 2)}, "same factors"), ({"time_factors": (-1, 1)}, "above 0"),
     ({"frequency_factors": (1.0,)}, "3 time factors but 1")],
)  # fmt: skip
def test_scale_factors_that_make_no_layer_are_refused(factors, says):
    with pytest.raises(ValueError, match=says):
        ScaleSpec(**factors)


def test_groups_tell_settings_apart_and_weights_need_a_parent():
    groups = {
        spec(model=ModelSpec(name="mts_a1", scales=scales, kernel=kernel)).group
        for scales in (None, ScaleSpec(), ScaleSpec(normalise_gain=True))
        for kernel in (None, (5, 5))
    }
    assert len(groups) == 6
    with pytest.raises(ValueError, match="no parents"):
        spec(model=ModelSpec(name="a1", initial_weights="parent"))
