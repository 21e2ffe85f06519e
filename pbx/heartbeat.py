"""Telling whoever watches us that the event loop still turns.

The protocol is systemd's sd_notify(3): datagrams to the socket named in
`NOTIFY_SOCKET`. `gerbang run` offers the same socket, so one mechanism serves the
foreground and production. A process whose beats stop is killed (-9) and restarted; its
calls go on to the queue the moment its sockets close.
"""

from __future__ import annotations

import asyncio
import os
import socket

PERIOD_SECONDS = 0.5
"""How often we beat; the watchers' deadline is 3 s (`WatchdogSec=3`)."""


def notify(message: str) -> None:
    """Send one sd_notify message, such as `READY=1`; without a watcher, nothing.

    Never blocks and never raises: a full or vanished socket must not harm a call.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(message.encode(), address)
        except OSError:
            return


async def beat() -> None:
    """Say READY, then beat from inside the loop until cancelled; then say STOPPING."""
    notify("READY=1")
    try:
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(PERIOD_SECONDS)
    finally:
        notify("STOPPING=1")
