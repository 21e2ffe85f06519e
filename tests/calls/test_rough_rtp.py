"""What Asterisk hands on over AudioSocket of what a rough network delivers.

The ghost filter is trained and judged on frames in a row. These are the facts about a
real line that this leaves out; ghostfilter/README.md says what follows from them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import pytest_asyncio

from agi.frames import AUDIO, AUDIO_BYTES, SILENCE, Reader
from pbx.asterisk import run
from pbx.asterisk.releases import Releases
from pbx.simulator.trial import TrialCity
from pbx.simulator.voices import from_alaw, soft_noise
from tests.bench.sound import alaw, quiet_line
from tests.bench.telephony.caller import Exchange
from tests.calls.rough_rtp import PERFECT, Network, Recording, RtpPhone

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(60),
]

DIALPLAN = """\
[from-trunk]
exten => _[!-~]!,1,Answer()
 same => n,AudioSocket(40325ec2-5efd-4bd3-805f-53576e581d13,127.0.0.1:{port})
"""


@dataclass
class Ear:
    """Everything that came over one AudioSocket connection."""

    port: int
    frames: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


@asynccontextmanager
async def listening() -> AsyncIterator[Ear]:
    """An AudioSocket server that keeps what it hears and sends silence."""
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = Reader()
        while data := await reader.read(65536):
            for kind, payload in cut.feed(data):
                if kind == AUDIO:
                    ear.frames.append(payload)
                    ear.times.append(loop.time())
                    writer.write(SILENCE)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    ear = Ear(server.sockets[0].getsockname()[1])
    async with server:
        yield ear


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bare() -> AsyncIterator[TrialCity]:
    async with TrialCity(python=False) as city:
        await city.console("module load app_audiosocket.so")
        yield city


SECONDS = 3.0
NOISE = alaw(soft_noise(SECONDS + 1, level_dbfs=-30))
"""No two of its frames are alike, so that each is known again."""
ANSWER_FRAMES = 3
"""`Answer()` waits for media and keeps for itself what it meets."""


async def called(bare: TrialCity, network: Network) -> tuple[RtpPhone, Ear]:
    """One call through this network."""
    there = (bare.place.city, bare.city.network.sip_port)
    exchange = await Exchange.open(bare.place.carrier, there, quiet_line(1.0))
    async with listening() as ear:
        releases = Releases(bare.settings.asterisk_home)
        current = releases.current()
        assert current
        dialplan = DIALPLAN.format(port=ear.port)
        releases.use(releases.add(current.files() | {"extensions.conf": dialplan}))
        run.hand_over(bare.settings.asterisk_home / "releases", run.service_user())
        await bare.console("dialplan reload")
        phone = RtpPhone(bare.place.carrier, Recording(NOISE, quiet_line(1.0)), network)
        call = await exchange.dial("0811", stream=phone)
        await asyncio.sleep(SECONDS)
        await call.hang_up()
        await exchange.close()
        await bare.wait_idle()
    return phone, ear


def numbers(phone: RtpPhone, ear: Ear) -> list[int]:
    """Which packet each frame was."""
    frame_of = {from_alaw(p.payload).tobytes(): p.number for p in phone.sent}
    assert {len(frame) for frame in ear.frames} == {AUDIO_BYTES}
    return [frame_of[frame] for frame in ear.frames]


async def test_a_perfect_network_is_handed_on_sample_by_sample(bare: TrialCity) -> None:
    phone, ear = await called(bare, PERFECT)
    heard = numbers(phone, ear)
    assert heard == list(range(heard[0], heard[0] + len(heard)))
    assert heard[0] <= ANSWER_FRAMES
    assert len(heard) >= SECONDS / 0.02 * 0.95


async def test_what_is_lost_or_overtaken_is_no_frame_at_all(bare: TrialCity) -> None:
    """No concealment, no silence in its place: what is heard is shorter than the call.
    No jitter buffer either: a frame comes when its packet comes."""
    network = Network(loss=0.1, jitter_seconds=0.04, overtaken=0.1)
    phone, ear = await called(bare, network)
    heard = numbers(phone, ear)
    expected = [packet.number for packet in phone.handed_on()]
    assert len(expected) < len(phone.sent), "no packet was overtaken"
    assert heard[0] <= ANSWER_FRAMES
    expected = expected[expected.index(heard[0]) :]
    assert heard == expected[: len(heard)]
    assert len(heard) >= len(expected) - ANSWER_FRAMES
    gaps = sorted(after - before for before, after in pairwise(ear.times))
    assert gaps[-1] > 0.03, "somebody smoothed what came unevenly"
    assert len(heard) < SECONDS / 0.02 * 0.9
