"""The manager link: always coming back, always a snapshot first, events in order.

What a subscriber is told, in this order and never another:
`Snapshot`, live events …, `LinkLost`, `Snapshot`, live events …
Live events may repeat what the snapshot told (they were on their way meanwhile), so
subscribers treat them as "it is so now".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

from panoramisk.message import Message

from pbx.ami.messages import (
    ChannelSeen,
    LinkLost,
    ManagerEvent,
    Snapshot,
    boot_time,
    number,
    read_channel,
    read_event,
    read_member,
    read_waiting,
    text,
)
from pbx.ami.wire import (
    ActionFailed,
    ActionTimedOut,
    Connection,
    LinkDown,
    LoginRefused,
    ManagerError,
)

_log = logging.getLogger(__name__)

Handler = Callable[[ManagerEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Login:
    """Where the manager listens and who we are there."""

    host: str
    port: int
    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Timing:
    """The link's deadlines, in seconds."""

    connect: float = 3.0
    login: float = 5.0
    """A refused login is answered after 1 s (`main/manager.c`, action_login)."""
    booted: float = 30.0
    """How long to wait for `FullyBooted` before asking anyway."""
    action: float = 5.0
    ping_every: float = 1.0
    pong: float = 2.0
    """A stopped Asterisk is noticed within `ping_every + pong`."""
    handler: float = 5.0
    first_retry: float = 0.25
    longest_retry: float = 5.0


@dataclass(slots=True)
class LinkFigures:
    """What the link counts, for the metrics page."""

    connects: int = 0
    losses: int = 0
    events: int = 0
    handler_errors: int = 0
    overflows: int = 0


class ManagerLink:
    """Our one link to one Asterisk's manager.

    `login` is called before every attempt, so a re-rendered secret or port is picked
    up. `backlog` bounds the events waiting for handlers; beyond it the link is dropped
    and the next snapshot makes everything true again.
    """

    def __init__(
        self,
        login: Callable[[], Login],
        *,
        timing: Timing | None = None,
        backlog: int = 20_000,
    ) -> None:
        self._login = login
        self._timing = timing or Timing()
        self._handlers: list[Handler] = []
        self._queue: asyncio.Queue[ManagerEvent] = asyncio.Queue()
        self._backlog = backlog
        self._connection: Connection | None = None
        self._why_down = "not started"
        self.figures = LinkFigures()

    @property
    def is_up(self) -> bool:
        """Whether we are logged in, with a snapshot taken."""
        return self._connection is not None

    @property
    def why_down(self) -> str:
        """The last reason the link was down; for alarms and error texts."""
        return self._why_down

    def subscribe(self, handler: Handler) -> None:
        """Have every event told to `handler`; handlers run one after another."""
        self._handlers.append(handler)

    async def run(self) -> NoReturn:
        """Keep the link up until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_handlers(), name="ami-handlers")
            tasks.create_task(self._keep_connected(), name="ami-link")
        raise AssertionError("both tasks run for ever")

    # ── actions ──────────────────────────────────────────────────────────────────

    async def ask(self, action: str, **headers: str) -> Message:
        """Send one action; its one answer. Never sent twice, whatever happens.

        Raises LinkDown (not sent, or lost on the way), ActionFailed (Asterisk said
        no), ActionTimedOut (no answer), ValueError (a line break in a header).
        """
        answers = await self._up(action).ask(
            action, headers, is_list=False, deadline_seconds=self._timing.action
        )
        return answers[0]

    async def ask_list(self, action: str, **headers: str) -> list[Message]:
        """Send one action that answers with a list; its items. Raises as `ask`."""
        return await _list(self._up(action), action, headers, self._timing.action)

    async def queue_add(self, queue: str, interface: str, *, name: str = "") -> None:
        """Let an operator's phone join a queue. Raises as `ask`."""
        await self.ask("QueueAdd", Queue=queue, Interface=interface, MemberName=name)

    async def queue_remove(self, queue: str, interface: str) -> None:
        """Take an operator's phone out of a queue. Raises as `ask`."""
        await self.ask("QueueRemove", Queue=queue, Interface=interface)

    async def queue_pause(
        self, queue: str, interface: str, *, paused: bool, reason: str = ""
    ) -> None:
        """Let an operator rest, or come back. Raises as `ask`."""
        await self.ask(
            "QueuePause",
            Queue=queue,
            Interface=interface,
            Paused="true" if paused else "false",
            Reason=reason,
        )

    async def redirect(self, channel: str, *, context: str, extension: str) -> None:
        """Send a channel elsewhere in the dialplan, at priority 1. Raises as `ask`."""
        await self.ask(
            "Redirect", Channel=channel, Context=context, Exten=extension, Priority="1"
        )

    async def snapshot_channels(self) -> tuple[ChannelSeen, ...]:
        """Every channel now, with its place in the dialplan. Raises as `ask`."""
        return tuple(read_channel(m) for m in await self.ask_list("CoreShowChannels"))

    def _up(self, action: str) -> Connection:
        if self._connection is None:
            raise LinkDown(
                f"{action} not sent: no manager link to Asterisk ({self._why_down})"
            )
        return self._connection

    # ── the connection's life ────────────────────────────────────────────────────

    async def _keep_connected(self) -> NoReturn:
        retry = self._timing.first_retry
        while True:
            connects = self.figures.connects
            try:
                self._why_down = await self._one_connection()
            except (ManagerError, OSError, ValueError) as error:
                self._why_down = str(error)
            if self.figures.connects > connects:  # it was up: begin the back-off anew
                retry = self._timing.first_retry
                self.figures.losses += 1
                self._queue.put_nowait(LinkLost(self._why_down))
            _log.warning(
                "manager link down: %s; again in %.1f s", self._why_down, retry
            )
            await asyncio.sleep(retry)
            retry = min(retry * 2, self._timing.longest_retry)

    async def _one_connection(self) -> str:
        """Connect, log in, take the snapshot, stay; say why it ended."""
        login = self._login()
        early: list[Message] = []
        connection = Connection(early.append)
        try:
            await connection.open(
                login.host, login.port, deadline_seconds=self._timing.connect
            )
            await self._log_in(connection, login)
            await self._until_booted(connection, early)
            snapshot = await self._take_snapshot(connection, early)
            self._queue.put_nowait(snapshot)
            for message in early:
                self._on_message(message)
            connection.on_event = self._on_message
            self._connection = connection
            self.figures.connects += 1
            _log.info(
                "manager link up: %d channels, Asterisk runs since %s",
                len(snapshot.channels),
                snapshot.booted_at.isoformat(),
            )
            return await self._stay(connection)
        finally:
            self._connection = None
            connection.close()

    async def _log_in(self, connection: Connection, login: Login) -> None:
        headers = {
            "Username": login.username,
            "Secret": login.secret,
            "Events": "on",
        }
        try:
            await connection.ask(
                "Login", headers, is_list=False, deadline_seconds=self._timing.login
            )
        except ActionFailed as error:
            raise LoginRefused(
                f"Asterisk's manager refuses user {login.username!r}: wrong secret or "
                "no such user; render anew (`gerbang render`) so that manager.conf and "
                "secrets.json agree"
            ) from error

    async def _until_booted(self, connection: Connection, early: list[Message]) -> None:
        """Wait for `FullyBooted`: before it, queues and channels may not exist yet."""
        booted: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def note(message: Message) -> None:
            early.append(message)
            if message.event == "FullyBooted" and not booted.done():
                booted.set_result("booted")

        connection.on_event = note
        if not any(message.event == "FullyBooted" for message in early):
            await asyncio.wait(
                {booted, connection.lost},
                timeout=self._timing.booted,
                return_when=asyncio.FIRST_COMPLETED,
            )

    async def _take_snapshot(
        self, connection: Connection, early: list[Message]
    ) -> Snapshot:
        deadline = self._timing.action
        core = await connection.ask(
            "CoreStatus", {}, is_list=False, deadline_seconds=deadline
        )
        channels = await _list(connection, "CoreShowChannels", {}, deadline)
        queues = await _list(connection, "QueueStatus", {}, deadline)
        uptime = [number(m, "uptime") for m in early if m.event == "FullyBooted"]
        of_kind = _by_kind(queues)
        return Snapshot(
            booted_at=boot_time(
                core[0],
                uptime_seconds=uptime[-1] if uptime else None,
                now=datetime.now(UTC),
            ),
            channels=tuple(read_channel(message) for message in channels),
            queues=tuple(text(m, "queue") for m in of_kind.get("QueueParams", [])),
            members=tuple(read_member(m) for m in of_kind.get("QueueMember", [])),
            waiting=tuple(read_waiting(m) for m in of_kind.get("QueueEntry", [])),
        )

    async def _stay(self, connection: Connection) -> str:
        """Ping until the link is lost; a missing pong is a loss."""
        while True:
            await asyncio.wait({connection.lost}, timeout=self._timing.ping_every)
            if connection.lost.done():
                return connection.lost.result()
            try:
                await connection.ask(
                    "Ping", {}, is_list=False, deadline_seconds=self._timing.pong
                )
            except ActionTimedOut:
                return f"Asterisk has not answered a ping for {self._timing.pong:g} s"
            except LinkDown:
                return connection.lost.result()

    # ── events ───────────────────────────────────────────────────────────────────

    def _on_message(self, message: Message) -> None:
        event = read_event(message)
        if event is None:
            return
        if self._queue.qsize() >= self._backlog:
            if self._connection and not self._connection.lost.done():
                self.figures.overflows += 1
                self._connection.close(
                    f"{self._backlog} events wait for their handlers; starting afresh"
                )
            return
        self._queue.put_nowait(event)

    async def _tell_handlers(self) -> NoReturn:
        while True:
            event = await self._queue.get()
            self.figures.events += 1
            for handler in self._handlers:
                await self._tell(handler, event)

    async def _tell(self, handler: Handler, event: ManagerEvent) -> None:
        try:
            async with asyncio.timeout(self._timing.handler):
                await handler(event)
        except Exception:  # noqa: BLE001 — one event, one handler: never the link
            self.figures.handler_errors += 1
            _log.exception("a handler failed at %s", type(event).__name__)


async def _list(
    connection: Connection, action: str, headers: dict[str, str], deadline: float
) -> list[Message]:
    answers = await connection.ask(
        action, headers, is_list=True, deadline_seconds=deadline
    )
    return answers[1:-1]


def _by_kind(messages: list[Message]) -> dict[str, list[Message]]:
    kinds: dict[str, list[Message]] = {}
    for message in messages:
        kinds.setdefault(message.event, []).append(message)
    return kinds
