"""From a key, or from the first sound of a voice, to an operator's phone ringing."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from tests.bench.figures import Figure, median_and_p95
from tests.bench.row import Bench, Result, Row
from tests.bench.telephony.floor import AT_ONCE, Floor, operators_floor

CALLS = 32
"""Of each kind."""
MOMENTS = (0.4, 6.0)
"""Seconds after the answer within which the key or the voice comes: during the greeting
and the wait after it."""
SPEECH_GRANTED_SECONDS = 0.3
"""Nobody can be known to speak sooner; what lies beyond is our delay."""
_RING_SECONDS = 30.0
"""By now even a caller we missed altogether has been queued."""
_SEED = 112


class Kind(StrEnum):
    """What the caller does, and when."""

    KEY = "key press"
    VOICE = "onset of speech"
    KEY_AT_ONCE = "key press at once"
    VOICE_AT_ONCE = "onset of speech at once"

    @property
    def is_at_once(self) -> bool:
        """With the very first RTP packet after the answer."""
        return self in (Kind.KEY_AT_ONCE, Kind.VOICE_AT_ONCE)

    @property
    def is_voice(self) -> bool:
        """Speaks; else presses."""
        return self in (Kind.VOICE, Kind.VOICE_AT_ONCE)


@dataclass(slots=True)
class _Found:
    """Seconds from t0 to the ring; and callers for whom nothing rang."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0


async def measure(bench: Bench) -> Result:
    """All kinds mixed, a few callers at a time."""
    count = 4 if bench.quick else CALLS
    chance = random.Random(_SEED)
    turns = [(kind, i) for kind in Kind for i in range(count)]
    chance.shuffle(turns)
    found = {kind: _Found() for kind in Kind}
    bench.tell("starting the city", 0.0)
    async with operators_floor() as floor:
        todo = iter(enumerate(turns))

        async def caller(place: int) -> None:
            await asyncio.sleep(place * 0.37)  # not all in step
            for number, (kind, i) in todo:
                bench.tell(f"call {number + 1} of {len(turns)}", number / len(turns))
                voice = floor.voices[i % len(floor.voices)]
                moment = 0.0 if kind.is_at_once else chance.uniform(*MOMENTS)
                late = await _one(floor, f"0811{number:06d}", kind, voice, moment)
                if late is None:
                    found[kind].lost += 1
                else:
                    found[kind].seconds.append(late)

        async with asyncio.TaskGroup() as callers:
            for place in range(AT_ONCE):
                callers.create_task(caller(place))
        told = [*_told(found, floor.worst_lateness_seconds * 1000), *floor.told()]
    return Result(tuple(_figures(found)), tuple(told))


async def _one(
    floor: Floor, number: str, kind: Kind, voice: bytes, moment: float
) -> float | None:
    """One call, hung up as soon as a phone rings; None if none does."""
    ring = floor.rings.expect(number)
    call = await floor.exchange.dial(number)
    try:
        if moment:
            await asyncio.sleep(moment)
        media = call.media
        left_at = await (media.speak(voice) if kind.is_voice else media.press("0"))
        with suppress(TimeoutError):
            return await asyncio.wait_for(ring, _RING_SECONDS) - left_at
        return None
    finally:
        floor.note_lateness(call.media.late_seconds)
        await call.hang_up()


def _figures(found: dict[Kind, _Found]) -> list[Figure]:
    figures: list[Figure] = []
    for kind, samples in found.items():
        figures += median_and_p95(f"{kind} → ring", samples.seconds, "s")
    beyond = [s - SPEECH_GRANTED_SECONDS for s in found[Kind.VOICE_AT_ONCE].seconds]
    return [
        *figures,
        *median_and_p95(
            f"speaks at once: after the first {SPEECH_GRANTED_SECONDS * 1000:.0f} ms",
            beyond,
            "s",
        ),
    ]


def _told(found: dict[Kind, _Found], late_ms: float) -> list[str]:
    lost = {str(kind): samples.lost for kind, samples in found.items() if samples.lost}
    return [
        f"{sum(len(s.seconds) for s in found.values())} calls rang a phone; no phone "
        f"rang within {_RING_SECONDS:g} s for: {lost or 'none'}",
        f"the latest of all RTP packets left {late_ms:.1f} ms after its due time",
    ]


ROW = Row(
    "ringing",
    "From a key or a voice to the operator's phone",
    f"""The city as declared under `gerbang run`, but with enough phones; {AT_ONCE}
    callers at a time, {CALLS} calls of each kind, mixed. The clock starts when the
    first RTP packet of the key (RFC 4733) leaves, or the packet with the first loud
    20 ms of a recorded human voice (asterisk-core-sounds, cut to its onset, as loud
    as recorded and 6, 12, 18 dB softer); it stops when the INVITE reaches an
    operator's phone. One monotonic clock in one process for both. *At once*: the very
    first RTP packet after the answer; otherwise at a random moment {MOMENTS[0]:g} to
    {MOMENTS[1]:g} s after it, in the greeting or the wait. Callers who were never put
    through count as lost, late ones with their whole time.""",
    measure,
)
