"""An operator's phone by hand, over UDP: for transfers that baresip cannot do."""

from __future__ import annotations

import asyncio
import re
import socket
import uuid
from dataclasses import dataclass, field
from hashlib import md5

from tests.patience import until


@dataclass
class Dialog:
    """One call of the phone."""

    call_id: str
    mine: str
    theirs: str
    target: str
    sequence: int = 1


@dataclass
class DeskPhone:
    """Registers, answers one call at once, dials, transfers, hangs up; then is busy."""

    number: str
    password: str
    address: str
    server: tuple[str, int]
    dialogs: list[Dialog] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    """Every message that came, whole."""

    async def __aenter__(self) -> DeskPhone:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 0))
        self._socket.setblocking(False)
        self._here = "{}:{}".format(*self._socket.getsockname())
        self._listening = asyncio.create_task(self._listen())
        await self._authenticated("REGISTER", self.number)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._socket.close()

    async def answered(self) -> Dialog:
        """The call that came to us, once it is connected."""
        await until(lambda: any(m.startswith("ACK") for m in self.heard))
        return self.dialogs[0]

    async def dial(self, number: str) -> Dialog:
        """Call a colleague; returns when his phone rings."""
        call = await self._authenticated("INVITE", number)
        await until(lambda: any(self._rings(m, call) for m in self.heard))
        ringing = next(m for m in self.heard if self._rings(m, call))
        dialog = Dialog(
            call,
            call[:8],
            re.search(r"^To:.*;tag=(\S+)\r$", ringing, re.M)[1],  # type: ignore[index]
            re.search(r"^Contact: <(.*?)>", ringing, re.M)[1],  # type: ignore[index]
            sequence=10,
        )
        self.dialogs.append(dialog)
        return dialog

    async def transfer(self, caller: Dialog, consulted: Dialog) -> None:
        """Connect the caller with whom we consult (RFC 5589), and leave."""
        replaces = (
            f"{consulted.call_id}%3Bto-tag%3D{consulted.theirs}"
            f"%3Bfrom-tag%3D{consulted.mine}"
        )
        goal = f"<{consulted.target}?Replaces={replaces}>"
        self._in_dialog("REFER", caller, f"Refer-To: {goal}", "Referred-By: <sip:me>")
        await until(lambda: any("SIP/2.0 200 OK" in m for m in self._notified()))

    def hang_up(self, dialog: Dialog) -> None:
        """BYE."""
        self._in_dialog("BYE", dialog)

    def _notified(self) -> list[str]:
        """How the transfer goes, as Asterisk tells it (RFC 3515, sipfrag)."""
        return [m for m in self.heard if m.startswith("NOTIFY")]

    @staticmethod
    def _rings(message: str, call: str) -> bool:
        return message.startswith(("SIP/2.0 180", "SIP/2.0 183")) and call in message

    async def _authenticated(self, method: str, to: str) -> str:
        call = uuid.uuid4().hex
        uri = "sip:{}:{}".format(*self.server)
        if method == "INVITE":
            uri = uri.replace("sip:", f"sip:{to}@")
        self._request(method, uri, call, to, 1, "")
        await until(lambda: any("401" in m[:15] and call in m for m in self.heard))
        challenge = next(m for m in self.heard if "401" in m[:15] and call in m)
        asked = dict(re.findall(r'(\w+)="([^"]+)"', challenge))
        if method == "INVITE":
            to_tag = re.search(r"^To: (.*?)\r$", challenge, re.M)[1]  # type: ignore[index]
            self._send(f"ACK {uri} SIP/2.0", call, to_tag, "1 ACK", branch=call)
        one = _md5(f"{self.number}:{asked['realm']}:{self.password}")
        two = _md5(f"{method}:{uri}")
        answer = _md5(f"{one}:{asked['nonce']}:00000001:abc:auth:{two}")
        self._request(
            method,
            uri,
            call,
            to,
            2,
            f'Authorization: Digest username="{self.number}", '
            f'realm="{asked["realm"]}", nonce="{asked["nonce"]}", uri="{uri}", '
            f'response="{answer}", algorithm=MD5, qop=auth, nc=00000001, '
            f'cnonce="abc", opaque="{asked.get("opaque", "")}"',
        )
        return call

    def _request(
        self, method: str, uri: str, call: str, to: str, number: int, more: str
    ) -> None:
        body = self._sdp() if method == "INVITE" else ""
        self._send(
            f"{method} {uri} SIP/2.0",
            call,
            f"<sip:{to}@{self.server[0]}>",
            f"{number} {method}",
            *([more] if more else []),
            body=body,
            branch=f"{call}{number}" if number > 1 else call,
        )

    def _in_dialog(self, method: str, dialog: Dialog, *more: str) -> None:
        dialog.sequence += 1
        self._send(
            f"{method} {dialog.target} SIP/2.0",
            dialog.call_id,
            f"<sip:{self.server[0]}>;tag={dialog.theirs}",
            f"{dialog.sequence} {method}",
            *more,
            mine=dialog.mine,
        )

    def _send(
        self,
        first: str,
        call: str,
        to: str,
        sequence: str,
        *more: str,
        body: str = "",
        mine: str = "",
        branch: str = "",
    ) -> None:
        lines = [
            first,
            f"Via: SIP/2.0/UDP {self._here};rport;"
            f"branch=z9hG4bK{branch or uuid.uuid4().hex}",
            "Max-Forwards: 70",
            f"From: <sip:{self.number}@{self.server[0]}>;tag={mine or call[:8]}",
            f"To: {to}",
            f"Call-ID: {call}",
            f"CSeq: {sequence}",
            f"Contact: <sip:{self.number}@{self._here}>",
            *more,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        self._socket.sendto("\r\n".join(lines).encode(), self.server)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            text = (await loop.sock_recv(self._socket, 65535)).decode()
            self.heard.append(text)
            method = text.split(" ", 1)[0]
            if method == "INVITE":
                self._take(text)
            elif method in {"OPTIONS", "NOTIFY", "BYE", "UPDATE", "CANCEL"}:
                self._reply(text, "200 OK")

    def _take(self, text: str) -> None:
        call = re.search(r"^Call-ID: (\S+)", text, re.M | re.I)[1]  # type: ignore[index]
        if self.dialogs and all(dialog.call_id != call for dialog in self.dialogs):
            self._reply(text, "486 Busy Here", tag="busy")
            return
        if not self.dialogs:
            theirs = re.search(r"^From:.*;tag=(\S+)\r$", text, re.M)[1]  # type: ignore[index]
            target = re.search(r"^Contact: <(.*?)>", text, re.M)[1]  # type: ignore[index]
            self.dialogs.append(Dialog(call, uuid.uuid4().hex[:8], theirs, target))
        mine = next(d.mine for d in self.dialogs if d.call_id == call)
        self._reply(text, "200 OK", tag=mine, body=self._sdp())

    def _reply(self, text: str, status: str, *, tag: str = "", body: str = "") -> None:
        kept = [
            line
            for line in text.split("\r\n")
            if line.startswith(("Via:", "From:", "To:", "Call-ID:", "CSeq:"))
        ]
        if tag:
            kept = [
                f"{k};tag={tag}" if k.startswith("To:") and ";tag=" not in k else k
                for k in kept
            ]
        lines = [f"SIP/2.0 {status}", *kept]
        lines += [f"Contact: <sip:{self.number}@{self._here}>"]
        lines += ["Content-Type: application/sdp"] if body else []
        lines += [f"Content-Length: {len(body)}", "", body]
        self._socket.sendto("\r\n".join(lines).encode(), self.server)

    def _sdp(self) -> str:
        return (
            f"v=0\r\no=- 1 1 IN IP4 {self.address}\r\ns=-\r\n"
            f"c=IN IP4 {self.address}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 101\r\n"
            "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        )


def _md5(text: str) -> str:
    return md5(text.encode()).hexdigest()
