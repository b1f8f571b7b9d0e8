"""Few synthetic recordings, tiny runs with and without anti-transfer, hand-made rows of the chapter's grid with known differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from sercore import anti_transfer_grid as grid
from sercore import prepare
from sercore.data.card import load_card
from sercore.data.corpora import CORPORA, Corpus, load
from sercore.results import GROUP_COLUMNS, HISTORY_COLUMNS, RUN_COLUMNS, Results, collect
from sercore.spec import AntiTransferSpec, DataSpec, FeatureSpec, ModelSpec, RunSpec, SplitSpec, TrainingSpec
from sercore.sweep import run_all

CHAPTER = "ch05_anti_transfer"
FEATURES = FeatureSpec(kind="stft", window_ms=16, hop_ms=32 / 2, sample_rate_hz=4000, normaliser="scalar", segment_s=1.0, segment_frames=64)
TRAINING = TrainingSpec(epochs=2, learning_rate=1e-3, weight_decay=0, batch_size=16, cosine_period_epochs=1, select_by="validation_loss")
NETWORK = {"name": "vgg16_pool", "width": 1 / 32, "dropout": 0.0}
AT = AntiTransferSpec(taps=("conv_3",))


def spec(corpus="synthetic", task="emotion", scheme="speakers_4", fold=0, seed=0, training=TRAINING, features=FEATURES, model=None, **more):
    """A run of a network of a thirty-second of the width on 64 x 32 inputs, with changes."""
    network = ModelSpec(**{**NETWORK, **(model or {})})
    split = SplitSpec(scheme=scheme, fold=fold)
    return RunSpec(
        data=DataSpec(corpus=corpus, task=task), split=split, model=network, features=features, training=training, seed=seed, **more
    )


SPEAKERS = spec("synthetic_others", "speaker", "within_speakers_5")


@contextmanager
def few_recordings(folder: Path) -> Iterator[dict[str, Corpus]]:
    """48 recordings of each synthetic corpus stand for it while the context lasts: 8 speakers, 3 emotions; the noises are whole.

    Args:
        folder: of the store that is used meanwhile.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERCORE_STORE", str(folder))
        patch.setenv("SERCORE_DEVICE", "cpu")
        found = {}
        for name in ("synthetic", "synthetic_others"):
            items = CORPORA[name].read(None)
            few = items[items["emotion"].isin(["anger", "sadness", "neutral"]) & items["repetition"].isin(["1", "2"])]
            found[name] = Corpus(name, None, few.reset_index(drop=True), load_card(name)).with_audio_ids()
        found["synthetic_noises"] = load("synthetic_noises").with_audio_ids()
        patch.setattr(prepare, "load_corpus", lambda name, root="": found[name])
        yield found


@contextmanager
def tiny_runs(folder: Path, methods: Sequence[str] = grid.PROMISED_METHODS) -> Iterator[tuple[dict[str, Corpus], Results]]:
    """Fold 0 of the quick grid on `few_recordings`, with a smaller network and two epochs; corpora and rows.

    Args:
        folder: of the store that is used meanwhile.
        methods: keys of METHODS.
    """
    with few_recordings(folder) as corpora, pytest.MonkeyPatch.context() as patch:
        patch.setitem(grid.WIDTHS, "small", 1 / 32)
        patch.setitem(grid.TARGETS, "synthetic", grid.TARGETS["synthetic"]._replace(segment_s=1.0))
        patch.setattr(grid, "FEWEST_PRETRAINING_EPOCHS", 2)
        found = grid.specs("synthetic", "quick", systems=["vgg16_pool"], methods=methods, taps=["conv_3"], epochs=2)
        done = run_all(found, progress=False)
        assert not done.failed, done.failed
        yield corpora, collect(CHAPTER, done.records)


def planted(
    specs: Sequence[RunSpec],
    right: Mapping[RunSpec, int | Sequence[int]],
    *, speakers: int = 10, seeds: int = 5, folds: int = 5, profile: str = "full", stored: bool = True,
    validation: Mapping[RunSpec, float] | None = None,
) -> Results:  # fmt: skip
    """Rows as if these runs had been done: two classes of 20 recordings a speaker, of which so many are right.

    Args:
        specs: one a group.
        right: of 20 of each class, for those that have not 8; one number, and one more of the last speaker, or a number a speaker. In every
            group the first speaker has one more, and so have seeds with an odd number.
        speakers, seeds, folds, profile, stored: of all groups.
        validation: UAR of those that have not 0.5.
    """
    groups, counts, runs, history = [], [], [], []
    for one in specs:
        about = {"group": one.group, "chapter": CHAPTER, "corpus": one.data.corpus, "task": one.data.task, "system": one.model.name}
        about |= {"variant": one.model.variant, "settings": one.settings, "protocol": one.protocol, "leaks": "+".join(one.leaks)}
        extent = {"split": one.split.scheme, "folds": folds, "seeds": seeds, "n_items": 40 * speakers, "n_speakers": speakers}
        groups.append(dict.fromkeys(GROUP_COLUMNS) | about | extent | {"profile": profile, "parameters": 9})
        for seed in range(seeds):
            run = {"run_id": f"{one.group}/{seed}", "group": one.group, "fold": 0, "seed": seed, "status": "finished", "device": "cpu"}
            run |= {"code_commit": "0123456789", "code_clean": True, "finished_at": "2026-11-20 12:00", "data_fingerprint": "1a"}
            runs.append(dict.fromkeys(RUN_COLUMNS) | run | {"validation_uar": (validation or {}).get(one, 0.5)})
            for speaker in range(speakers):
                more = right.get(one, [8] * speakers)
                more = more + (speaker == speakers - 1) if isinstance(more, int) else more[speaker]
                found = more + (speaker == 0) + seed % 2
                for truth, pair in (("calm", (found, 20 - found)), ("fear", (20 - found, found))):
                    row = {"group": one.group, "seed": seed, "fold": 0, "speaker": str(speaker), "truth": truth}
                    counts.append(row | dict(zip(("calm", "fear"), pair, strict=True)))
        for epoch in (1, 2):
            losses = {"train_loss": 2.0 / epoch, "validation_loss": 3.0 / epoch}
            losses |= {"added_loss": 0.5 / epoch} if one.anti_transfer else {}
            history += [[one.group, epoch, quantity, value, 0.9 * value, 1.1 * value, seeds] for quantity, value in losses.items()]
    return Results(
        pd.DataFrame(groups), pd.DataFrame(counts), pd.DataFrame(runs), pd.DataFrame(history, columns=HISTORY_COLUMNS),
        {one.group: one.group_form() for one in specs}, stored=stored,
    )  # fmt: skip
