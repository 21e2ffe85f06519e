"""A city under measurement with stopwatch phones: operators who never answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pbx.asterisk import run
from pbx.asterisk.secrets import read_secrets
from pbx.simulator.declaration import Declaration
from pbx.simulator.trial import TrialCity
from tests.bench.journal import stretch, without_filter
from tests.bench.sound import human_voices, quiet_line
from tests.bench.telephony.caller import Exchange
from tests.bench.telephony.operator import OperatorPhone, Rings

PHONES = 8
AT_ONCE = 4
"""Callers at the same time: far fewer than phones, so that nobody waits for one."""
_VOICES = 16


@dataclass(slots=True)
class Floor:
    """The city, its callers' exchange, and who rang when."""

    city: TrialCity
    exchange: Exchange
    rings: Rings
    voices: list[bytes]
    worst_lateness_seconds: float = 0.0
    """Of any RTP packet a caller sent: how far to trust the stopwatch."""

    def note_lateness(self, seconds: float) -> None:
        """A call's own worst."""
        self.worst_lateness_seconds = max(self.worst_lateness_seconds, seconds)

    def told(self) -> list[str]:
        """For the report: what callers met since the city began."""
        begin = datetime.fromtimestamp(0, UTC)
        trunk = self.city.city.trunks[0].name
        lines = self.city.journal_lines()
        facts = stretch(lines, begin, datetime.now(UTC), trunk=trunk).facts
        shown = ", ".join(f"{count} {name}" for name, count in sorted(facts.items()))
        warning = without_filter(facts)
        return [*([warning] if warning else []), f"facts told: {shown}"]


@asynccontextmanager
async def operators_floor() -> AsyncIterator[Floor]:
    """`gerbang run` with the declared flow and queue, but with `PHONES` phones."""
    async with AsyncExitStack() as stack:
        city = await stack.enter_async_context(TrialCity(change=_many_phones))
        root = run.find_root(city.settings)
        there = (city.place.city, city.city.network.sip_port)
        exchange = await Exchange.open(city.place.carrier, there, quiet_line(4.0))
        stack.push_async_callback(exchange.close)
        rings = Rings()
        secrets = read_secrets(city.settings.secrets_file)
        for operator in city.city.operators:
            password = secrets.operators[operator.number]
            phone = OperatorPhone(operator.number, password, there, rings)
            await phone.register(city.place.phone(operator.number))
            stack.callback(phone.close)
        yield Floor(city, exchange, rings, human_voices(root.base, _VOICES))


def _many_phones(declared: Declaration) -> None:
    numbers = [str(201 + i) for i in range(PHONES)]
    declared["operators"] = [
        {"number": number, "name": f"Bench {number}"} for number in numbers
    ]
    queue = declared["queues"][0] | {"members": numbers, "overflow": []}
    declared["queues"] = [queue | {"wrapup_seconds": 0}]
