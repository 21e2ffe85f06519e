"""The stopwatch phones: right bytes on the wire, right time on the clock."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import suppress

import numpy as np
import pytest

from pbx.simulator.voices import decode_wav, soft_noise
from tests.bench.sound import alaw, from_onset, quiet_line
from tests.bench.telephony.media import FRAME_BYTES, Media
from tests.bench.telephony.operator import Rings
from tests.bench.telephony.sip import digest, parse, reply

INVITE = (
    b"INVITE sip:201@127.0.0.9:5062 SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\n"
    b'From: "Budi" <sip:0811000001@127.0.0.1>;tag=1\r\nTo: <sip:201@127.0.0.9>\r\n'
    b"Call-ID: abc\r\nCSeq: 17 INVITE\r\n\r\nv=0\r\n"
)


def test_a_request_and_a_response_are_told_apart() -> None:
    invite = parse(INVITE)
    assert (invite.status, invite.method, invite.caller) == (
        None,
        "INVITE",
        "0811000001",
    )
    assert invite.body == "v=0\r\n"
    answer = parse(reply(invite, "180 Ringing"))
    assert (answer.status, answer.method) == (180, "INVITE")
    assert ";tag=" in answer.header("to")
    assert answer.header("via") == invite.header("via")


def test_a_message_is_stamped_when_it_arrives() -> None:
    before = time.monotonic()
    assert before <= parse(INVITE).at <= time.monotonic()


def test_the_digest_is_that_of_rfc_2617(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0a4f113b")
    header = digest(
        'Digest realm="testrealm@host.com", qop="auth", nonce="dcd98b7102dd2f0e8b11d0f6'
        '00bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
        *("Mufasa", "Circle Of Life", "GET", "/dir/index.html"),
    )
    assert 'response="6629fae49393a05397450978507c4ef1"' in header


async def test_the_first_invite_of_a_call_stops_the_clock() -> None:
    rings = Rings()
    ring = rings.expect("0811")
    rings.note("0812", 1.0)
    rings.note("0811", 2.0)
    rings.note("0811", 3.0)
    assert await ring == 2.0


async def _sent(media: Media, count: int) -> list[bytes]:
    """The first packets a phone sends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.setblocking(False)
        sending = asyncio.create_task(media.run(far.getsockname()))
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(30):
                return [await loop.sock_recv(far, 2048) for _ in range(count)]
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
            media.close()


async def test_a_key_is_one_event_that_grows_and_ends_thrice() -> None:
    media = Media("127.0.0.1", quiet_line(0.1))
    left = media.press("#")
    packets = await _sent(media, 10)
    heads = [struct.unpack("!BBHII", packet[:12]) for packet in packets]
    assert [head[1] & 0x7F for head in heads] == [101] * 8 + [8] * 2
    assert heads[0][1] >> 7 == 1
    assert len({head[3] for head in heads[:8]}) == 1
    events = [struct.unpack("!BBH", packet[12:]) for packet in packets[:8]]
    assert {event[0] for event in events} == {11}
    assert [event[2] for event in events] == [160, 320, 480, 640, 800, 960, 960, 960]
    assert [event[1] >> 7 for event in events] == [0] * 5 + [1] * 3
    steps = {(b[2] - a[2]) & 0xFFFF for a, b in zip(heads, heads[1:], strict=False)}
    assert steps == {1}
    assert left.result() <= time.monotonic()


async def test_a_voice_takes_the_place_of_the_line_and_gives_it_back() -> None:
    media = Media("127.0.0.1", b"\x55" * FRAME_BYTES)
    media.speak(b"\x2a" * FRAME_BYTES * 2)
    packets = await _sent(media, 4)
    assert [packet[12] for packet in packets] == [0x2A, 0x2A, 0x55, 0x55]
    clocks = [struct.unpack("!I", packet[4:8])[0] for packet in packets]
    assert [b - a for a, b in zip(clocks, clocks[1:], strict=False)] == [160] * 3


def test_a_background_without_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        Media("127.0.0.1", b"")


def test_alaw_comes_back_as_it_went() -> None:
    samples = np.arange(-32768, 32768, 7, dtype=np.int16)
    coded = alaw(samples)
    head = b"fmt " + struct.pack("<IHHIIHH", 16, 6, 1, 8000, 8000, 1, 8)
    data = b"data" + struct.pack("<I", len(coded)) + coded
    riff = b"RIFF" + struct.pack("<I", 4 + len(head) + len(data)) + b"WAVE"
    back = decode_wav(riff + head + data, source="test").astype(np.int32)
    error = np.abs(back - samples)
    assert np.all(error <= np.maximum(8, np.abs(samples.astype(np.int32)) / 16))


def test_a_voice_is_cut_to_its_first_loud_frame() -> None:
    voice = soft_noise(1.0)
    voice[4000:] = 8000
    assert from_onset(voice).size == 8000 - 4000
    assert from_onset(soft_noise(1.0)).size == 0
