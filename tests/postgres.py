"""A real PostgreSQL for tests: a pytest plugin with the server and fresh databases."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pbx.simulator.declaration import free_run


def _binaries() -> Path:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: int(path.parts[-3]),
    )
    if not found:
        pytest.fail(
            "PostgreSQL's server binaries are missing; `gerbang install --dev` brings "
            "them (or apt-get install postgresql)",
            pytrace=False,
        )
    return found[-1].parent


@dataclass(slots=True)
class Postgres:
    """A PostgreSQL of our own in a temporary directory, as an unprivileged user."""

    binaries: Path
    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/records"

    def run(self, *argv: str | Path) -> None:
        done = subprocess.run(
            [str(self.binaries / argv[0]), *map(str, argv[1:])],
            user=self._user,
            group=self._group,
            extra_groups=[] if self._user else None,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def _user(self) -> str | None:
        return "postgres" if os.geteuid() == 0 else None

    @property
    def _group(self) -> int | None:
        return pwd.getpwnam("postgres").pw_gid if self._user else None

    def create(self) -> None:
        if self._user:
            shutil.chown(self.home, self._user)
        self.run(
            "initdb", "-D", self.home / "data", "-U", "postgres", "-A", "trust",
            "--no-sync", "--no-locale", "-E", "UTF8",
        )  # fmt: skip

    def start(self) -> None:
        self.run(
            "pg_ctl", "-D", self.home / "data", "-w", "-t", "30",
            "-l", self.home / "log",
            "-o", f"-h 127.0.0.1 -p {self.port} -k {self.home} -c fsync=off",
            "start",
        )  # fmt: skip

    def stop(self) -> None:
        """Stop at once, as a crash would; a server already down is fine."""
        if (self.home / "data" / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", self.home / "data", "-m", "immediate", "stop")

    def start_if_down(self) -> None:
        """After a test that stopped it and failed."""
        if not (self.home / "data" / "postmaster.pid").exists():
            self.start()

    def sql(self, statement: str) -> str:
        done = subprocess.run(
            [
                str(self.binaries / "psql"), "-h", "127.0.0.1", "-p", str(self.port),
                "-U", "postgres", "-X", "-A", "-t", "-q", "-c", statement, "postgres",
            ],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def new_database(self) -> None:
        self.sql("DROP DATABASE IF EXISTS records WITH (FORCE)")
        self.sql("CREATE DATABASE records")


@contextmanager
def own_server() -> Iterator[Postgres]:
    """A server while the block lasts."""
    home = Path(tempfile.mkdtemp(prefix="gerbang-postgres-"))
    server = Postgres(_binaries(), home, free_run(1))
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The server itself, for tests that stop it."""
    with own_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> str:
    """A fresh, empty database `records`; SQLAlchemy URL with asyncpg."""
    postgres_server.start_if_down()
    postgres_server.new_database()
    return postgres_server.url
