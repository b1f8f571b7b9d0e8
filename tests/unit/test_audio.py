"""Decoding: equal samples from any container, channels averaged, and every damaged file named."""

import numpy as np
import pytest
import soundfile

from sercore.data.audio import audio_id, audio_ids, decode
from sercore.errors import CorpusError

RNG = np.random.default_rng(0)
SAMPLES = np.round(RNG.uniform(-0.5, 0.5, 4000) * 2**15) / 2**15


def written(path, samples=SAMPLES, rate=16000, **options):
    soundfile.write(path, samples, rate, **options)
    return path


def test_equal_samples_have_one_id_in_any_container(tmp_path):
    files = [
        written(tmp_path / "a.wav"), written(tmp_path / "a.flac"), written(tmp_path / "b.wav", subtype="PCM_24"),
        written(tmp_path / "c.wav", subtype="FLOAT"), written(tmp_path / "d.wav", format="AIFF"),
        written(tmp_path / "e.wav", np.stack([SAMPLES] * 2, 1)),
    ]  # fmt: skip
    assert len({audio_id(f) for f in files}) == 1
    assert audio_id(written(tmp_path / "f.wav", rate=8000)) != audio_id(files[0])
    assert audio_id(written(tmp_path / "g.wav", SAMPLES[::-1])) != audio_id(files[0])


@pytest.mark.parametrize(("rate", "subtype"), [(96000, "PCM_24"), (48000, "PCM_16"), (8000, "PCM_U8"), (16000, "FLOAT")])
def test_rate_and_depth_as_they_come(tmp_path, rate, subtype):
    samples, found = decode(written(tmp_path / "x.wav", rate=rate, subtype=subtype))
    assert found == rate
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, SAMPLES, atol=1 / 120 if subtype == "PCM_U8" else 1e-6)


def test_channels_are_averaged(tmp_path):
    samples, _ = decode(written(tmp_path / "x.wav", np.stack([SAMPLES, 0 * SAMPLES], 1)))
    np.testing.assert_allclose(samples, SAMPLES / 2, atol=1e-6)


def cut(path, ending):
    whole = written(path.with_suffix(ending))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return whole


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: cut(p, ".wav"), "cut short"),
        (lambda p: cut(p, ".flac"), "cut short|cannot be decoded"),
        (lambda p: (p.write_bytes(b""), p)[1], "cannot be decoded"),
        (lambda p: written(p.with_suffix(".wav"), np.zeros(0)), "no sample"),
        (lambda p: p, "cannot be decoded"),
        (lambda p: written(p.with_suffix(".wav"), np.array([0, np.nan, 0]), subtype="FLOAT"), "sample 1 is not finite"),
    ],
)
def test_damaged_files_are_named(tmp_path, make, says):
    file = make(tmp_path / "broken.wav")
    with pytest.raises(CorpusError, match=says) as error:
        decode(file)
    assert str(file) in str(error.value)


def test_ids_are_remembered_until_the_file_changes(tmp_path, monkeypatch):
    file, cache = written(tmp_path / "a.wav"), tmp_path / "cache" / "ids.json"
    first = audio_ids([file, file], cache)
    monkeypatch.setattr("sercore.data.audio.audio_id", lambda path: pytest.fail("decoded again"))
    assert audio_ids([file], cache) == first[:1]
    monkeypatch.undo()
    written(file, SAMPLES[:100])
    assert audio_ids([file], cache) != first[:1]
    with pytest.raises(CorpusError, match="missing"):
        audio_ids([tmp_path / "none.wav"], cache)
