"""Ways to harm a running city that need more than a signal."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psutil

_PIDFD_GETFD = 438
"""pidfd_getfd(2): no wrapper in glibc 2.36."""


def reset_connections(pid: int, port: int) -> int:
    """Send a RST on every connection that `pid` has accepted on `port`; how many.

    The process's own sockets are borrowed and disconnected (connect(2) to AF_UNSPEC),
    which is what a broken network stack or a firewall would do to it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    done = 0
    try:
        for connection in psutil.Process(pid).net_connections("tcp"):
            if connection.status != psutil.CONN_ESTABLISHED:
                continue
            if connection.laddr.port != port or connection.fd < 0:
                continue
            borrowed = libc.syscall(_PIDFD_GETFD, pidfd, connection.fd, 0)
            if borrowed < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            libc.connect(borrowed, ctypes.create_string_buffer(16), 16)
            os.close(borrowed)
            done += 1
    finally:
        os.close(pidfd)
    return done


@asynccontextmanager
async def port_scan(*ports: int) -> AsyncIterator[None]:
    """All the while: connect and close, connect and reset, garbage, half a greeting."""
    openings = [b"", b"\x00", b"GET / HTTP/1.0\r\n\r\n", os.urandom(512), b"agi_n"]

    async def knock(port: int, opening: bytes, reset: bool) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                if reset:
                    linger = b"\x01\0\0\0" + b"\0\0\0\0"
                    raw = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.write(opening)
                writer.close()

    async def scan() -> None:
        while True:
            await asyncio.gather(
                *(
                    knock(port, opening, reset)
                    for port in ports
                    for opening in openings
                    for reset in (False, True)
                )
            )
            await asyncio.sleep(0.02)

    task = asyncio.create_task(scan())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def slow_loris(*ports: int, connections: int = 200) -> AsyncIterator[None]:
    """Many connections that say one byte a second, and come back when thrown out."""

    async def crawl(port: int) -> None:
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    for byte in b"agi_network: yes\nagi_request: x\n" * 8:
                        writer.write(bytes([byte]))
                        await writer.drain()
                        await asyncio.sleep(1)
                finally:
                    writer.close()
            await asyncio.sleep(0.2)

    tasks = [
        asyncio.create_task(crawl(port)) for port in ports for _ in range(connections)
    ]
    await asyncio.sleep(0.5)  # all of them are connected when the calls come
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def small_disk(path: Path, *, size: str) -> Iterator[None]:
    """A tmpfs of that size mounted on `path`; needs root, as the tests have."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", str(path)],
        check=True,
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def full(path: Path) -> Iterator[None]:
    """Not one byte left on the file system of `path`, until the end of the block."""
    filler = path / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        for size in (4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    try:
        yield
    finally:
        filler.unlink()
