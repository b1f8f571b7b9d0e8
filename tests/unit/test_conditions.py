"""The price list's conditions: each does the one thing that it says, and refuses to do it undeclared."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from sercore import batching, grids, models, prepare, tune
from sercore.conditions import CONDITIONS
from sercore.data import corpora
from sercore.data.splits import base_scheme, split_plan
from sercore.errors import LeakError, SpecError, SplitError
from sercore.spec import LEAKS, SplitSpec


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    before, os.environ["SERCORE_STORE"] = os.environ.get("SERCORE_STORE"), str(tmp_path_factory.mktemp("store"))
    whole = corpora.load("synthetic")
    yield replace(whole, items=whole.items.groupby(["speaker", "emotion"]).head(2).reset_index(drop=True)).with_audio_ids()
    os.environ.pop("SERCORE_STORE")
    if before:
        os.environ["SERCORE_STORE"] = before


def spec_of(condition, **changes):
    return grids.price_of_leaks("synthetic", "quick", condition, systems=["reslstm_sa_h32"])[0].model_copy(update=changes)


def test_every_leak_that_can_be_switched_on_alone_has_a_line():
    alone = {c.leaks[0] for c in CONDITIONS.values() if len(c.leaks) == 1}
    assert set(CONDITIONS["all_leaks"].leaks) == alone
    assert alone | {"source_overlap", "validation_speakers", "pretraining_overlap"} == set(LEAKS)
    assert CONDITIONS["strict"].leaks == ()


@pytest.mark.parametrize("scheme", ["speakers_4_shuffled", "speakers_4_copies"])
def test_a_leaking_scheme_needs_its_declaration(corpus, scheme):
    with pytest.raises(LeakError):
        split_plan(corpus.items, SplitSpec(scheme=scheme))


def test_shuffling_mixes_speakers_and_keeps_the_sizes_and_the_audio(corpus):
    items = corpus.items.copy()
    items.loc[items.index[:2], "audio_id"] = "one and the same"
    tested = []
    for fold in range(4):
        apart = split_plan(corpus.items, SplitSpec(scheme="speakers_4", fold=fold))
        mixed = split_plan(items, SplitSpec(scheme="speakers_4_shuffled", fold=fold), ("speaker_overlap",))
        assert {side: len(ids) for side, ids in mixed.sides.items()} == {side: len(ids) for side, ids in apart.sides.items()}
        assert mixed.found == ("speaker_overlap",)
        tested += mixed.test
    assert sorted(tested) == sorted(items["item_id"])


def test_copies_train_and_are_declared_in_the_plan(corpus):
    spec = spec_of("duplicate_audio")
    plan = split_plan(corpus.items, spec.split, spec.leaks)
    assert set(plan.copies) < set(plan.test)
    assert len(plan.copies) == round(0.6 * len(plan.test))
    assert plan.found == ("duplicate_audio",)
    strict = split_plan(corpus.items, SplitSpec(scheme="speakers_4"))
    assert plan.sides == strict.sides
    assert plan.fingerprint != strict.fingerprint
    prepared = prepare.prepare(spec, corpus)
    assert len(prepared.train.frames) == len(plan.train) + len(plan.copies)


def test_level_filter_leaves_quiet_recordings_out_on_every_side(corpus):
    peaks = corpus.peaks()
    quiet = set(peaks.index[peaks <= spec_of("strict").data.level_filter_peak])
    assert 0 < len(quiet) < len(peaks)
    sides = prepare.prepare(spec_of("level_filter"), corpus).plan.sides
    assert not quiet & {item for ids in sides.values() for item in ids}
    assert quiet <= {item for ids in prepare.prepare(spec_of("strict"), corpus).plan.sides.values() for item in ids}


def test_padding_changes_scores_only_under_its_leak():
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(n, 46)).astype(np.float32) for n in (5, 40, 9, 70)]
    for condition, equal in (("strict", True), ("unmasked_padding", False)):
        torch.manual_seed(0)
        model = models.build_for(spec_of(condition), 46, 8).eval()
        together, alone = (batching.predict_logits(model, frames, batch_as_given=size) for size in (4, 1))
        assert np.allclose(together, alone, atol=1e-5) is equal


def test_batches_mix_lengths_where_asked():
    lengths = np.repeat([1, 100], 32)
    mixed, sorted_ = (batching.batches(lengths, 8, 0, by_length) for by_length in (False, True))
    assert max(np.ptp(lengths[b]) for b in mixed) == 99
    assert sum(np.ptp(lengths[b]) > 0 for b in sorted_) < sum(np.ptp(lengths[b]) > 0 for b in mixed)
    assert sorted(np.concatenate(mixed)) == list(range(64))


def test_single_leaks_use_the_parameters_of_strict():
    strict = tune.study_name(spec_of("strict"))
    others = {name: tune.study_name(spec_of(name)) for name in CONDITIONS}
    on_test = others.pop("tuned_on_test")
    assert others.pop("all_leaks") == on_test != strict
    assert set(others.values()) == {strict}
    assert tune.searched(spec_of("all_leaks")).leaks == ("tuned_on_test",)


def test_searches_of_the_first_chapter_keep_their_names():
    for protocol, objective in (("strict", "validation"), ("paper", "test")):
        spec = grids.reslstm_sa("ravdess", "full", protocol, systems=["reslstm_sa_h64"])[0]
        assert tune.study_name(spec) == f"ravdess.reslstm_sa_h64.definition.luna_jimenez_5.{objective}"


def test_unknown_condition_and_ending_are_refused():
    with pytest.raises(SpecError, match="no condition is called 'speakers'; known: strict"):
        grids.price_of_leaks("ravdess", "full", "speakers")
    with pytest.raises(SplitError, match="no split scheme is called 'pairs_5_copied'"):
        base_scheme("pairs_5_copied")
