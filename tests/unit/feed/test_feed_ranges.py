"""Parts of files and the sound in them."""

from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.feed.ranges import (
    TELEPHONE,
    Sound,
    Span,
    UnsatisfiableError,
    sound_of,
    wanted_span,
)


@given(
    st.text(max_size=30) | st.from_regex(r"bytes=\d{0,4}-\d{0,4}"), st.integers(0, 2000)
)
def test_a_part_lies_within_or_there_is_none(header: str, size: int) -> None:
    try:
        span = wanted_span(header, size)
    except UnsatisfiableError:
        return
    if span is not None:
        assert 0 <= span.start < span.stop <= size
        assert span.length > 0


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-99", Span(0, 100)),
        ("bytes=99-", Span(99, 100)),
        ("Bytes = 5 - 7", Span(5, 8)),
        ("bytes=-1", Span(99, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("bytes=-", None),
        ("bytes=7-5", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("", None),
        (None, None),
    ],
)
def test_parts_of_a_hundred_bytes(header: str | None, span: Span | None) -> None:
    assert wanted_span(header, 100) == span


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_beyond_the_end(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        wanted_span(header, 100)


def test_an_empty_file_has_no_part() -> None:
    for header in ("bytes=0-", "bytes=-5"):
        with pytest.raises(UnsatisfiableError):
            wanted_span(header, 0)


@given(
    st.sampled_from([8000, 16000, 48000]),
    st.sampled_from([1, 2]),
    st.integers(0, 50),
    st.data(),
)
def test_seconds_of_a_wav(
    rate: int, channels: int, frames: int, data: st.DataObject
) -> None:
    told = io.BytesIO()
    with wave.open(told, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * channels * frames))
    whole = told.getvalue()
    sound = sound_of(whole[:4096])
    assert sound == Sound(44, rate * channels * 2)
    assert sound.seconds(Span(0, len(whole))) == pytest.approx(frames / rate)
    cut = data.draw(st.integers(0, len(whole)))
    halves = sound.seconds(Span(0, cut)) + sound.seconds(Span(cut, len(whole)))
    assert halves == pytest.approx(frames / rate)


def test_chunks_before_the_sound() -> None:
    about = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    head = b"RIFF\0\0\0\0WAVE" + odd + about + b"data\0\0\0\0"
    assert sound_of(head) == Sound(len(head), 16000)
    assert sound_of(head[:20]) == TELEPHONE
    assert sound_of(b"RIFF\0\0\0\0WAVEdata\0\0\0\0") == Sound(20, 16000)


@given(st.binary(max_size=80))
def test_what_is_no_wav_counts_as_sound_whole(head: bytes) -> None:
    sound = sound_of(head)
    assert sound.bytes_a_second > 0
    if head[:4] != b"RIFF":
        assert sound.begins == 0
