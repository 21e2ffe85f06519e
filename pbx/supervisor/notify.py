"""The socket our processes beat to: systemd's sd_notify(3), received.

The kernel attaches the sender's pid (SO_PASSCRED, unix(7)), so no process can beat for
another.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CREDENTIALS = struct.Struct("=iII")
"""struct ucred: pid, uid, gid."""


class NotifySocket:
    """A datagram socket in `directory`, or an abstract one where that cannot be: a path
    too long, a full disk. `address` is what children get as NOTIFY_SOCKET.
    """

    def __init__(self, directory: Path) -> None:
        self._path: Path | None = directory / "notify.sock"
        self.address = str(self._path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        try:
            self._path.unlink(missing_ok=True)
            self.socket.bind(self.address)
            self._path.chmod(0o600)
        except OSError:
            tag = hashlib.sha256(os.fsencode(self._path)).hexdigest()[:16]
            self._path = None
            self.address = f"@gerbang-{tag}-{os.getpid()}"
            self.socket.bind("\0" + self.address[1:])

    def read(self) -> Iterator[tuple[int, str]]:
        """Every message that waits: the sender's pid, and its text."""
        while True:
            try:
                text, extra, _, _ = self.socket.recvmsg(
                    4096, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except (BlockingIOError, InterruptedError):
                return
            for level, kind, data in extra:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                    pid, _, _ = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])
                    yield pid, text.decode(errors="replace")

    def close(self) -> None:
        """Close it and take its name away."""
        self.socket.close()
        if self._path:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
