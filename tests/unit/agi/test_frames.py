"""AudioSocket's frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agi import frames

UUID_FRAME = b"\x01\x00\x10" + bytes(range(16))
STREAM = UUID_FRAME + frames.SILENCE + b"\x03\x00\x010" + frames.SILENCE + frames.END
EXPECTED = [
    (frames.IDENTITY, bytes(range(16))),
    (frames.AUDIO, bytes(320)),
    (frames.DIGIT, b"0"),
    (frames.AUDIO, bytes(320)),
    (frames.HANG_UP, b""),
]


def test_a_stream_of_frames() -> None:
    assert frames.Reader().feed(STREAM) == EXPECTED


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_however_it_is_cut(cuts: list[int]) -> None:
    reader = frames.Reader()
    edges = [0, *sorted(cuts), len(STREAM)]
    found = []
    for start, end in zip(edges, edges[1:], strict=False):
        found += reader.feed(STREAM[start:end])
    assert found == EXPECTED


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x00\x0f",
        b"\x03\x00\x02",
        b"\x00\x00\x01",
        b"\x10\x00\x00",
        b"\x10\x00\x03",
        b"\x10\xff\xfe",
        b"\x11\x02\x80",
        b"GET / HTTP/1.1",
        b"\xff\x01\x00",
    ],
)
def test_what_is_none_is_refused_at_the_header(data: bytes) -> None:
    with pytest.raises(frames.BrokenError):
        frames.Reader().feed(data)


@given(st.binary(max_size=2000))
def test_garbage_never_raises_anything_else(data: bytes) -> None:
    reader = frames.Reader()
    try:
        reader.feed(data)
    except frames.BrokenError:
        return
    assert len(reader._rest) < frames.MAX_PAYLOAD_BYTES + frames.HEADER_BYTES


def test_audio_for_the_wire_is_filled_up() -> None:
    wire = frames.for_the_wire(b"\x01\x02" * 161)
    assert len(wire) == 2 * frames.WIRE_BYTES
    assert frames.Reader().feed(wire) == [
        (frames.AUDIO, b"\x01\x02" * 160),
        (frames.AUDIO, b"\x01\x02" + bytes(318)),
    ]
    assert frames.for_the_wire(b"") == b""
