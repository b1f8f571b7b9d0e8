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


#: A signal that no depth holds exactly, so that the error of the depth is measured and not assumed.
TONES = 0.4 * np.sin(np.arange(4800) / 7) + 0.3 * np.sin(np.arange(4800) / 3.1)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 96000])
@pytest.mark.parametrize(
    ("name", "options", "step"),
    [
        ("x.wav", {"subtype": "PCM_U8"}, 2**-7),
        ("x.wav", {"subtype": "PCM_16"}, 2**-15),
        ("x.wav", {"subtype": "PCM_24"}, 2**-23),
        ("x.wav", {"subtype": "PCM_32"}, 2**-24),  # float32 holds 24 bits
        ("x.wav", {"subtype": "FLOAT"}, 2**-24),
        ("x.wav", {"subtype": "DOUBLE"}, 2**-24),
        ("x.flac", {"subtype": "PCM_16"}, 2**-15),
        ("x.flac", {"subtype": "PCM_24"}, 2**-23),
        ("x.wav", {"format": "AIFF", "subtype": "PCM_16"}, 2**-15),
        ("x.wav", {"format": "AIFF", "subtype": "PCM_24"}, 2**-23),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_every_rate_depth_and_container_gives_the_signal_within_one_step(tmp_path, rate, name, options, step):
    samples, found = decode(written(tmp_path / name, TONES, rate, **options))
    assert found == rate
    assert (samples.dtype, samples.shape) == (np.float32, TONES.shape)
    assert np.abs(samples - TONES).max() <= step


def test_another_scale_or_order_is_caught(tmp_path):
    """The comparison above is not satisfied by a signal that is one 16-bit step off."""
    samples, _ = decode(written(tmp_path / "x.wav", TONES + 2**-12, subtype="PCM_24"))
    assert np.abs(samples - TONES).max() > 2**-15


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_channels_are_averaged(tmp_path, name, channels):
    parts = np.stack([TONES * (1 - 0.4 * k) for k in range(channels)], axis=1)
    samples, _ = decode(written(tmp_path / name, parts, subtype="PCM_24"))
    assert samples.shape == TONES.shape
    np.testing.assert_allclose(samples, parts.mean(axis=1), atol=2**-23)


def test_equal_channels_are_the_mono_recording_bit_for_bit(tmp_path):
    mono, both = written(tmp_path / "m.wav", TONES), written(tmp_path / "s.wav", np.stack([TONES] * 2, 1))
    np.testing.assert_array_equal(decode(mono)[0], decode(both)[0])


def cut(path, ending):
    whole = written(path.with_suffix(ending))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return whole


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: cut(p, ".wav"), "cut short"),
        (lambda p: cut(p, ".flac"), "cut short|cannot be decoded"),
        (lambda p: (p.write_bytes(b""), p)[1], r"is empty \(0 bytes\)"),
        (lambda p: written(p.with_suffix(".wav"), np.zeros(0)), "no sample"),
        (lambda p: p, "is missing"),
        (lambda p: (p.write_bytes(b"<html>"), p)[1], "cannot be decoded"),
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
