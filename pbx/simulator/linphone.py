"""An operator's phone made of linphone: a second make of softphone, to be sure.

`linphonec` takes commands on its standard input and tells what happens on its standard
output. Without a sound card it plays one WAV and records another (`soundcard use
files`). Only what the softphone tests need is here; `operator.py` is the everyday one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pbx.model.city import Transport
from pbx.simulator.operator import OperatorError, PhoneSettings
from pbx.simulator.voices import read_voice, repeated, write_voice

_VOICE_SECONDS = 60.0

_SETTINGS = """\
[sip]
default_proxy=0
sip_port=-2
sip_tcp_port=-2
sip_tls_port=-2
register_only_when_network_is_up=0
guess_hostname=0
contact=sip:{number}@{address}
verify_server_certs=1
verify_server_cn=0
root_ca={trusted}
media_encryption={encryption}
[net]
mtu=1300
[rtp]
audio_rtp_port=-1
[misc]
uuid={number}
[proxy_0]
reg_proxy=<sip:{server}:{port};transport={transport}>
reg_identity=sip:{number}@{server}
reg_expires=60
reg_sendregister=1
publish=0
[auth_info_0]
username={number}
userid={number}
passwd={password}
realm=*
"""
"""Port -2 is liblinphone's LC_SIP_TRANSPORT_DONTBIND: a client's port, picked freely.
The certificate is checked, its name is not: linphone 5.1 knows no IP address in it."""


@dataclass(slots=True)
class Linphone:
    """One linphonec. `async with Linphone(...)` registers and cleanly ends it."""

    settings: PhoneSettings
    voice: Path
    trusted: Path = Path("/etc/ssl/certs")
    """Certificates to trust over TLS."""
    _directory: Path | None = None
    _process: asyncio.subprocess.Process | None = None
    _said: str = ""

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def heard(self) -> Path:
        """WAV of what the operator heard; whole after `stop_talking`."""
        if self._directory is None:
            raise OperatorError("linphone is not running")
        return self._directory / "heard.wav"

    async def start(self, *, deadline_seconds: float = 15.0) -> None:
        """Start and register. Raises OperatorError with what linphone said."""
        program = shutil.which("linphonec")
        if program is None:
            raise OperatorError(
                "linphonec is missing; run `apt-get install linphone-cli`"
            )
        self._directory = Path(tempfile.mkdtemp(prefix="gerbang-linphone-"))
        await asyncio.to_thread(self._configure, self._directory)
        self._process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL"),
            *(program, "-c", str(self._directory / "linphonerc"), "-d", "0"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"HOME": str(self._directory)},
        )
        await self._say("soundcard use files")
        await self._say(f"play {self._directory / 'voice.wav'}")
        await self._ask_until(
            "status register", "registered, identity=", deadline_seconds
        )

    async def answer(self, *, deadline_seconds: float = 15.0) -> None:
        """Wait for a call, take it, speak and record."""
        await self.expect("new incoming call", deadline_seconds=deadline_seconds)
        await self._say("answer")
        await self.expect("connected", deadline_seconds=deadline_seconds)
        await self._say(f"record {self.heard}")

    async def expect(self, words: str, *, deadline_seconds: float) -> None:
        """Wait until linphone says these words, in whatever case."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                while words.lower() not in self._said.lower():
                    if not await self._hear():
                        break
                else:
                    return
        raise OperatorError(
            f"linphone did not say {words!r} within {deadline_seconds:g} s, but:\n"
            f"{self._said[-2000:]}"
        )

    async def stop(self) -> None:
        """Unregister and end it; nothing is left behind."""
        if self._process:
            with suppress(OSError, RuntimeError):
                await self._say("quit")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 3.0)
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            self._process = None
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _configure(self, directory: Path) -> None:
        (directory / ".local/share/linphone").mkdir(parents=True)
        settings = self.settings
        tls = settings.transport is Transport.TLS
        path = directory / "linphonerc"
        path.touch(mode=0o600)
        path.write_text(
            _SETTINGS.format(
                number=settings.number,
                password=settings.password,
                server=settings.server,
                port=settings.port,
                transport=settings.transport,
                address=settings.address,
                trusted=self.trusted,
                encryption="srtp" if tls else "none",
            )
        )
        voice = repeated(read_voice(self.voice), _VOICE_SECONDS)
        write_voice(directory / "voice.wav", voice)

    async def _ask_until(
        self, question: str, words: str, deadline_seconds: float
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                while words not in self._said:
                    # Asked without pause, linphonec has no time for the network.
                    await asyncio.sleep(1.0)
                    await self._say(question)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._hear(), 0.3)
                return
        raise OperatorError(
            f"linphone was not registered within {deadline_seconds:g} s; it said:\n"
            f"{self._said[-2000:]}"
        )

    async def _say(self, order: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise OperatorError("linphone is not running")
        self._process.stdin.write(f"{order}\n".encode())
        await self._process.stdin.drain()

    async def _hear(self) -> bool:
        if self._process is None or self._process.stdout is None:
            raise OperatorError("linphone is not running")
        heard = await self._process.stdout.read(4096)
        self._said += heard.decode(errors="replace")
        return bool(heard)
