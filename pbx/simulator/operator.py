"""An operator made of baresip: registers, answers, speaks, remembers what it heard.

A real softphone, set up by the documented settings, without a sound card: it plays a
WAV to the caller and its `sndfile` filter writes what it hears. Commands and events go
over its `ctrl_tcp` module: netstrings of JSON on a loopback port.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pbx.model.city import City, Transport
from pbx.simulator.voices import read_voice, repeated, soft_noise, write_voice

_MODULES = sorted(Path("/usr/lib").glob("**/baresip/modules"))
_POLL_SECONDS = 0.05
_MAX_EVENT_BYTES = 65536
VOICE_SECONDS = 150.0
"""baresip plays its file once; the voice is repeated to last for the longest call."""


class OperatorError(Exception):
    """The phone did not do what was asked in time; the text says what and the cure."""


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """What a person enters in a softphone (see docs/softphones), and where it runs."""

    number: str
    password: str
    server: str
    port: int
    transport: Transport = Transport.UDP
    address: str = "127.0.0.1"
    """The phone's own address; loopback addresses are free for the taking."""


def phone_settings(
    city: City, passwords: Mapping[str, str], number: str, *, address: str | None = None
) -> PhoneSettings:
    """The settings of the operator `number`, as the city declares them.

    `passwords` are the operators' by number. Raises OperatorError for an unknown one.
    """
    for operator in city.operators:
        if operator.number == number and number in passwords:
            network = city.network
            tls = operator.transport is Transport.TLS
            return PhoneSettings(
                number,
                passwords[number],
                network.sip_address,
                network.sips_port if tls else network.sip_port,
                operator.transport,
                address or network.sip_address,
            )
    known = ", ".join(o.number for o in city.operators)
    raise OperatorError(f"no operator {number} with a password; declared: {known}")


@dataclass(slots=True)
class IncomingCall:
    """One call at the operator's phone; times are aware."""

    id: str
    peer: str
    ringing_at: datetime
    answered_at: datetime | None = None
    closed_at: datetime | None = None
    why_closed: str = ""
    keys: str = ""
    heard: Path | None = None
    """WAV of what the operator heard; whole once the call is closed."""


@dataclass(slots=True)
class Operator:
    """One softphone. `async with Operator(...)` registers and cleanly ends it."""

    settings: PhoneSettings
    voice: Path | None = None
    """WAV the operator speaks once connected; None stays quiet."""
    answer_after_seconds: float | None = 0.5
    """Ringing time before answering; None answers only by `answer()`."""
    calls: list[IncomingCall] = field(default_factory=list)
    _directory: Path | None = None
    _process: asyncio.subprocess.Process | None = None
    _writer: asyncio.StreamWriter | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _replies: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: int = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, *, deadline_seconds: float = 10.0) -> None:
        """Start the phone and register it. Raises OperatorError with its last words."""
        program = shutil.which("baresip")
        if program is None or not _MODULES:
            raise OperatorError(
                "baresip is missing; run `apt-get install baresip-core`, or register "
                "a softphone of your own"
            )
        self._directory = Path(tempfile.mkdtemp(prefix="gerbang-operator-"))
        try:
            async with asyncio.timeout(deadline_seconds):
                port = await asyncio.to_thread(self._configure, self._directory)
                await self._launch(program, self._directory)
                await self._connect(port)
                await self._registered()
        except TimeoutError:
            said = self._last_words()
            await self.stop()
            raise OperatorError(
                f"phone {self.settings.number} was not registered at "
                f"{self.settings.server}:{self.settings.port} within "
                f"{deadline_seconds:g} s; is the city running? It said:\n{said}"
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Unregister and end the phone; nothing is left behind."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._writer:
            self._writer.close()
            self._writer = None
        if self._process:
            await _end(self._process)
            self._process = None
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    async def vanish(self) -> None:
        """Power cut: the phone is gone and has told nobody."""
        if self._process:
            self._process.kill()
            await self._process.wait()

    async def answer(self) -> None:
        """Answer what rings."""
        await self._ask("accept")

    async def hang_up(self) -> None:
        """End the call, or reject what rings."""
        await self._ask("hangup")

    async def hold(self) -> None:
        """Put the caller on hold."""
        await self._ask("hold")

    async def resume(self) -> None:
        """Take the caller up again."""
        await self._ask("resume")

    async def transfer(self, number: str) -> None:
        """Pass the caller on without asking anybody (blind transfer, REFER)."""
        await self._ask("transfer", f"sip:{number}@{self.settings.server}")

    async def dial(self, number: str) -> None:
        """Call a number: a colleague, or an agency the city declares."""
        await self._ask("dial", number)

    async def wait_ringing(
        self, *, after: int = 0, deadline_seconds: float = 10.0
    ) -> IncomingCall:
        """The first call after the first `after` ones, as soon as it rings.

        Read `len(operator.calls)` before placing a call, and pass it as `after`.
        """
        await self._until(lambda: len(self.calls) > after, "rung", deadline_seconds)
        return self.calls[after]

    async def wait_answered(
        self, call: IncomingCall, *, deadline_seconds: float = 10.0
    ) -> IncomingCall:
        """Wait until that call is connected."""
        await self._until(
            lambda: call.answered_at is not None, "connected", deadline_seconds
        )
        return call

    async def wait_closed(
        self, call: IncomingCall, *, deadline_seconds: float = 30.0
    ) -> IncomingCall:
        """Wait until that call is over, its recording whole."""
        await self._until(lambda: call.closed_at is not None, "freed", deadline_seconds)
        return call

    async def _until(
        self, done: Callable[[], bool], what: str, deadline_seconds: float
    ) -> None:
        try:
            async with asyncio.timeout(deadline_seconds):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise OperatorError(
                f"phone {self.settings.number} was not {what} within "
                f"{deadline_seconds:g} s; it said:\n{self._last_words()}"
            ) from None

    def _configure(self, directory: Path) -> int:
        settings = self.settings
        port = _free_port(settings.address)
        heard = directory / "heard"
        heard.mkdir()
        # Without a file to play baresip takes no call: a quiet operator hisses softly.
        voice = read_voice(self.voice) if self.voice else soft_noise(5.0)
        write_voice(directory / "voice.wav", repeated(voice, VOICE_SECONDS))
        first = 42000 + port % 1000 * 20
        (directory / "config").write_text(
            _CONFIG.format(
                address=settings.address,
                voice=directory / "voice.wav",
                heard=heard,
                modules=_MODULES[0],
                control_port=port,
                rtp_first=first,
                rtp_last=first + 19,
            )
        )
        srtp = ";mediaenc=srtp" if settings.transport is Transport.TLS else ""
        (directory / "accounts").write_text(
            f"<sip:{settings.number}@{settings.server}:{settings.port};"
            f"transport={settings.transport}>;auth_user={settings.number};"
            f"auth_pass={settings.password};regint=60;answermode=manual;"
            f"audio_codecs=pcma,pcmu{srtp}\n"
        )
        (directory / "accounts").chmod(0o600)
        return port

    async def _launch(self, program: str, directory: Path) -> None:
        with (directory / "output").open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                # Whoever starts a phone and dies must not leave it ringing.
                *("setpriv", "--pdeathsig", "KILL"),
                *(program, "-f", str(directory), "-v"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def _connect(self, port: int) -> None:
        while True:
            if self._process and self._process.returncode is not None:
                raise OperatorError(f"baresip ended at start:\n{self._last_words()}")
            with suppress(OSError):
                reader, self._writer = await asyncio.open_connection(
                    self.settings.address, port, limit=_MAX_EVENT_BYTES
                )
                self._tasks.append(asyncio.create_task(self._listen(reader)))
                return
            await asyncio.sleep(_POLL_SECONDS / 2)

    async def _registered(self) -> None:
        while True:
            state = await self._ask("reginfo")
            if "OK " in state:
                return
            if "ERR" in state:
                raise OperatorError(
                    f"phone {self.settings.number} may not register:\n"
                    f"{self._last_words()}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def _ask(self, command: str, parameters: str = "") -> str:
        if self._writer is None:
            raise OperatorError(f"phone {self.settings.number} is not running")
        self._asked += 1
        token = str(self._asked)
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._replies[token] = reply
        order = json.dumps({"command": command, "params": parameters, "token": token})
        self._writer.write(f"{len(order)}:{order},".encode())
        try:
            return await asyncio.wait_for(reply, 5.0)
        except TimeoutError:
            raise OperatorError(
                f"phone {self.settings.number} did not obey {command!r} within 5 s"
            ) from None
        finally:
            del self._replies[token]

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                body = (await reader.readexactly(length + 1))[:-1]
                self._note(json.loads(body))

    def _note(self, event: dict[str, Any]) -> None:
        """Keep the books: one event or reply from baresip."""
        if event.get("response"):
            reply = self._replies.get(str(event.get("token")))
            if reply and not reply.done():
                reply.set_result(str(event.get("data", "")))
            return
        now = datetime.now(UTC)
        if event.get("type") == "CALL_INCOMING":
            self.calls.append(IncomingCall(event["id"], event["peeruri"], now))
            if self.answer_after_seconds is not None:
                task = asyncio.create_task(self._answer_later(self.calls[-1]))
                self._tasks.append(task)
        for call in self.calls:
            if call.id == event.get("id"):
                self._advance(call, event, now)
        self._changed.set()

    def _advance(
        self, call: IncomingCall, event: dict[str, Any], now: datetime
    ) -> None:
        match event["type"]:
            case "CALL_ESTABLISHED":
                call.answered_at = now
            case "CALL_DTMF_START":
                call.keys += str(event.get("param", ""))
            case "CALL_CLOSED":
                call.closed_at = now
                call.why_closed = str(event.get("param", ""))
                call.heard = self._claim_recording() if call.answered_at else None
            case _:
                pass

    def _claim_recording(self) -> Path | None:
        """Give the recording just finished a name of its own: baresip's is the second
        it began in, which a quick second call would share."""
        if self._directory is None:
            return None
        folder = self._directory / "heard"
        target = folder / f"call-{len(self.calls)}.wav"
        for found in sorted(folder.glob("dump-*-dec.wav")):
            return found.rename(target)
        return None

    async def _answer_later(self, call: IncomingCall) -> None:
        await asyncio.sleep(self.answer_after_seconds or 0.0)
        if call.closed_at is None and call.answered_at is None:
            await self.answer()

    def _last_words(self) -> str:
        try:
            text = (self._directory or Path("/nowhere")) / "output"
            lines = text.read_text(errors="replace").splitlines()
        except OSError:
            return "  (nothing)"
        return "\n".join(f"  {line}" for line in lines[-8:]) or "  (nothing)"


_CONFIG = """\
poll_method epoll
sip_listen {address}:0
net_interface {address}
call_local_timeout 120
call_max_calls 4
audio_source aufile,{voice}
audio_player none
audio_alert none
audio_level no
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_buffer 20-160
rtp_ports {rtp_first}-{rtp_last}
jitter_buffer_delay 1-10
snd_path {heard}
ctrl_tcp_listen {address}:{control_port}
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module srtp.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
"""


async def _end(process: asyncio.subprocess.Process) -> None:
    for stop in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 3.0)


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise OperatorError(
                f"{address} is not an address of this machine ({error.strerror})"
            ) from error
        return int(probe.getsockname()[1])
