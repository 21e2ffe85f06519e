"""Any WAV becomes a telephone's: G.711 decoded, resampled, mixed down, or refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from pbx.simulator.voices import (
    VoiceError,
    decode_wav,
    first_sound_seconds,
    human_voice,
    read_voice,
    repeated,
    soft_noise,
    write_voice,
)


def wav(
    data: bytes, *, kind: int = 1, bits: int = 16, rate: int = 8000, channels: int = 1
) -> bytes:
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(
    ("kind", "code", "linear"),
    [
        # ITU-T G.711 tables: the smallest and the largest step of either sign.
        (6, 0xD5, 8),
        (6, 0x55, -8),
        (6, 0xAA, 32256),
        (6, 0x2A, -32256),
        (7, 0xFF, 0),
        (7, 0x80, 32124),
        (7, 0x00, -32124),
        (7, 0xFE, 8),
    ],
)
def test_g711_is_decoded(kind: int, code: int, linear: int) -> None:
    samples = decode_wav(wav(bytes([code]) * 4, kind=kind, bits=8), source="x")
    assert set(samples.tolist()) == {linear}


def test_g711_codes_rise_evenly() -> None:
    for kind in (6, 7):
        codes = decode_wav(wav(bytes(range(256)), kind=kind, bits=8), source="x")
        assert len(np.unique(codes)) >= 255
        assert abs(int(codes.astype(int).sum())) <= 256


def test_pcm_of_eight_bits_and_extensible_headers_are_read() -> None:
    samples = decode_wav(wav(bytes([128, 255, 0]), bits=8), source="x")
    assert samples.tolist() == [0, 127 << 8, -128 << 8]


def test_two_channels_at_48_khz_become_one_at_8() -> None:
    time = np.arange(48000) / 48000
    tone = (8000 * np.sin(2 * np.pi * 440 * time)).astype("<i2")
    both = np.stack([tone, tone], axis=1).tobytes()
    samples = decode_wav(wav(both, rate=48000, channels=2), source="x")
    assert samples.size == 8000
    spectrum = np.abs(np.fft.rfft(samples.astype(float)))
    assert int(np.argmax(spectrum)) == 440
    assert np.max(np.abs(samples)) == pytest.approx(8000, rel=0.02)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"OggS" + bytes(40), "not a WAV"),
        (b"RIFF\4\0\0\0WAVE", "without format or data"),
        (wav(bytes(12), kind=3, bits=32), "format 3 with 32 bits"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_cure(content: bytes, why: str) -> None:
    with pytest.raises(VoiceError, match=why) as refused:
        decode_wav(content, source="fire.wav")
    assert str(refused.value).startswith("fire.wav")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="nowhere.wav"):
        read_voice(tmp_path / "nowhere.wav")


def test_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    noise = soft_noise(0.5, level_dbfs=-20)
    write_voice(tmp_path / "n.wav", noise)
    assert np.array_equal(read_voice(tmp_path / "n.wav"), noise)
    assert [p.name for p in tmp_path.iterdir()] == ["n.wav"]


def test_soft_noise_is_soft_and_there() -> None:
    level = np.sqrt(np.mean(soft_noise(2.0).astype(float) ** 2)) / 32768
    assert -85 < 20 * np.log10(level) < -70


def test_a_voice_is_repeated_until_it_is_long_enough() -> None:
    assert repeated(np.arange(3000, dtype=np.int16), 1.0).size == 9000
    with pytest.raises(VoiceError):
        repeated(np.zeros(0, np.int16), 1.0)


def test_the_first_sound_is_found() -> None:
    line = np.concatenate([soft_noise(1.0), soft_noise(0.2, level_dbfs=-20)])
    assert first_sound_seconds(line) == pytest.approx(1.0, abs=0.02)
    assert first_sound_seconds(soft_noise(1.0)) is None


def test_human_voices_come_from_the_root(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="gerbang install"):
        human_voice(tmp_path)
    folder = tmp_path / "usr/share/asterisk/sounds/en_US_f_Allison"
    folder.mkdir(parents=True)
    for name in ("vm-intro", "conf-adminmenu"):
        write_voice(folder / f"{name}.wav", soft_noise(0.1))
    assert human_voice(tmp_path).name == "conf-adminmenu.wav"
    assert human_voice(tmp_path, which=1).name == "vm-intro.wav"
    assert human_voice(tmp_path, which=2).name == "conf-adminmenu.wav"
