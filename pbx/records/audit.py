"""The audit: who heard, read or erased whose data, when and why; chained, append-only.

`append` writes an entry in the caller's own transaction: what is done and that it was
done are one. Entries are chained by HMAC (`pbx.model.audit`), and since a chain alone
does not show that its end was cut off, each is also written outside the database, once
its transaction is committed: into `audit.anchor` beside the key, and into the log.
"""

from __future__ import annotations

import json
import logging
import os
import secrets as random_bytes
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.model.audit import FIRST, Anchor, Check, Entry, key_id, mac_of, spans
from pbx.records.audit_tables import audit
from pbx.records.base import now
from pbx.records.private_files import append as append_lines
from pbx.records.private_files import give_to_owner
from pbx.settings import Settings

_log = logging.getLogger(__name__)

LONGEST_TEXT = 2000
_LONGEST_NUMBER = 18
"""Digits of an entry's number: PostgreSQL's bigint has 19."""
_PAGE = 1000
_CHAIN_LOCK = 112_114
"""PostgreSQL's advisory lock, held until commit: one appends at a time."""
_PENDING = "gerbang-audit"
_ANCHOR_PATIENCE_SECONDS = 5.0
"""An anchor is written when its transaction's connection is let go."""


class AuditKeyError(RuntimeError):
    """The key cannot be used; the text says the cure."""


@dataclass(frozen=True, slots=True)
class AuditFiles:
    """`audit.key` and `audit.anchor` in the secrets' folder (mode 0700, files 0600).

    The key file has a key a line, in hex; the last one signs, the others check what was
    signed before. Several nodes on one database share it: copy it.
    """

    directory: Path

    @property
    def key_file(self) -> Path:
        """Made at first use, never changed by us."""
        return self.directory / "audit.key"

    @property
    def anchor_file(self) -> Path:
        """One line an entry: its number, its HMAC, its time."""
        return self.directory / "audit.anchor"

    def key(self) -> bytes:
        """The key that signs; made if there is none. Raises AuditKeyError, OSError."""
        if not self.key_file.exists():
            self._make()
        return self._read()[-1]

    def keys(self) -> dict[str, bytes]:
        """Every key by its id; none if there is no file. Raises as `key`."""
        if not self.key_file.exists():
            return {}
        return {key_id(key): key for key in self._read()}

    def anchors(self) -> list[Anchor]:
        """What was anchored, here and on other nodes (`audit.anchor.NAME`); a line that
        is torn or none of ours is left out. Raises AuditKeyError."""
        found = []
        for path in sorted(self.directory.glob(f"{self.anchor_file.name}*")):
            try:
                text = path.read_text("ascii", "replace")
            except OSError as error:
                raise AuditKeyError(
                    f"{path}: {error.strerror or error}; it is a file that says what "
                    "stands in the audit, and belongs to the user who runs us. Bring "
                    "it back from a backup"
                ) from error
            for line in text.splitlines():
                seq, _, rest = line.partition(" ")
                mac = rest.partition(" ")[0]
                is_number = seq.isdecimal() and len(seq) <= _LONGEST_NUMBER
                if is_number and len(mac) == len(FIRST):
                    found.append(Anchor(int(seq), mac))
        return found

    def anchor(self, entries: Sequence[Entry]) -> None:
        """Write down that these stand in the chain. Raises OSError."""
        lines = "".join(f"{e.seq} {e.mac} {e.at.isoformat()}\n" for e in entries)
        append_lines(self.anchor_file, lines)

    def _read(self) -> list[bytes]:
        try:
            text = self.key_file.read_text()
            keys = [bytes.fromhex(line) for line in text.split()]
        except (ValueError, PermissionError) as error:
            raise AuditKeyError(
                f"{self.key_file}: {error}; it holds one key a line, 64 hex digits, "
                "and belongs to the user who runs us. Bring it back from a backup"
            ) from error
        if not keys or any(len(key) < 32 for key in keys):
            raise AuditKeyError(
                f"{self.key_file} holds no key of 64 hex digits; bring it back from a "
                "backup, or remove it: then a new one is made, and what the old one "
                "signed can be checked no more"
            )
        return keys

    def _make(self) -> None:
        """A key, whole or not at all, whoever else makes one at the same time."""
        self._make_directory()
        draft = self.directory / f".audit.key.{os.getpid()}.{random_bytes.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600)
        try:
            os.write(descriptor, random_bytes.token_hex(32).encode() + b"\n")
            os.fsync(descriptor)
            give_to_owner(descriptor, self.directory)
            with suppress(FileExistsError):
                os.link(draft, self.key_file)
                _log.warning("made a new audit key: %s", self.key_file)
        finally:
            os.close(descriptor)
            draft.unlink()

    def _make_directory(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def files_of(secrets: Path | None) -> AuditFiles:
    """The files in that folder; None: where the settings say."""
    return AuditFiles(secrets if secrets is not None else Settings().secrets)


# ---- writing -------------------------------------------------------------------------


async def append(
    connection: AsyncConnection,
    *,
    actor: str,
    action: str,
    call_id: str | None = None,
    reason: str | None = None,
    seconds: float | None = None,
    subject: str | None = None,
    details: Mapping[str, Any] | None = None,
    secrets: Path | None = None,
) -> Entry:
    """Add an entry within the caller's transaction; it stands once that is committed.

    Let it be the transaction's last statement: on PostgreSQL whoever else appends waits
    from here to the commit. On SQLite the engine must be one that writes. `seconds` is
    how much sound was sent, `secrets` the folder of the key (None: as the settings
    say). Raises AuditKeyError, OSError, SQLAlchemyError: then nothing was written, and
    what was to be audited must not happen.
    """
    files = files_of(secrets)
    key = files.key()
    if connection.dialect.name == "postgresql":
        await connection.execute(
            sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK}
        )
    last = (
        await connection.execute(
            sa.select(audit.c.seq, audit.c.mac).order_by(audit.c.seq.desc()).limit(1)
        )
    ).first()
    entry = Entry(
        seq=1 if last is None else last.seq + 1,
        at=now(),
        actor=_text(actor) or "?",
        action=_text(action)[:40],
        call_id=None if call_id is None else _text(call_id)[:160],
        subject=subject,
        reason=None if reason is None else _text(reason),
        seconds=None if seconds is None else round(float(seconds), 3),
        details=None if details is None else _as_json(details),
        key_id=key_id(key),
        previous=FIRST if last is None else last.mac,
        mac="",
    )
    entry = replace(entry, mac=mac_of(entry, key))
    values = {name: getattr(entry, name) for name in Entry.__dataclass_fields__}
    await connection.execute(sa.insert(audit).values(**values))
    _anchor_after_commit(connection, files, entry)
    return entry


def _text(said: str) -> str:
    """Text any database takes and gives back as it was."""
    plain = said.replace("\0", "").encode("utf-8", "replace").decode()
    return plain[:LONGEST_TEXT]


def _as_json(details: Mapping[str, Any]) -> str:
    return json.dumps(details, ensure_ascii=False, sort_keys=True, default=str)


# ---- anchors: after the commit, whoever commits --------------------------------------


@dataclass(slots=True)
class _Pending:
    files: AuditFiles
    entries: list[Entry] = field(default_factory=list)
    is_committed: bool = False


_watched: WeakSet[Engine] = WeakSet()


def _anchor_after_commit(
    connection: AsyncConnection, files: AuditFiles, entry: Entry
) -> None:
    """Remember the entry; it is anchored when its connection is let go, or used for
    the next transaction, and only if this one was committed."""
    _watch(connection.engine)
    pending = connection.info.setdefault(_PENDING, _Pending(files))
    pending.entries.append(entry)


def _watch(engine: AsyncEngine) -> None:
    sync = engine.sync_engine
    if sync in _watched:
        return
    _watched.add(sync)
    event.listen(sync, "commit", _committing)
    event.listen(sync, "handle_error", _failed)
    event.listen(sync, "rollback", _rolled_back)
    event.listen(sync, "rollback_savepoint", _rolled_back)
    event.listen(sync, "begin", _begins)
    event.listen(sync, "checkin", _let_go)


def _committing(connection: Connection) -> None:
    """Called just before the commit."""
    pending = connection.info.get(_PENDING)
    if pending is not None:
        pending.is_committed = True


def _failed(context: ExceptionContext) -> None:
    """A commit that fails rolls back without a word."""
    if context.connection is not None:
        context.connection.info.pop(_PENDING, None)


def _rolled_back(connection: Connection, *_: object) -> None:
    connection.info.pop(_PENDING, None)


def _begins(connection: Connection) -> None:
    _anchor(connection.info.pop(_PENDING, None))


def _let_go(wire: object, record: Any) -> None:
    pending = record.info.pop(_PENDING, None)
    if wire is not None:  # else the connection broke, perhaps in the commit
        _anchor(pending)


def _anchor(pending: _Pending | None) -> None:
    if pending is None or not pending.is_committed:
        return
    for entry in pending.entries:
        _log.info(
            "audit: %s by %s (entry %d, %s)",
            entry.action,
            entry.actor,
            entry.seq,
            entry.mac[:16],
            extra={"call_id": entry.call_id} if entry.call_id else None,
        )
    try:
        pending.files.anchor(pending.entries)
    except OSError as error:
        _log.error(  # noqa: TRY400 — the entry stands; only its anchor is missing
            "audit entry %d stands but is not anchored: %s; give %s to the user who "
            "runs us and make room on its disk",
            pending.entries[-1].seq,
            error,
            pending.files.anchor_file,
        )


# ---- reading -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WantedEntries:
    """Which entries: the newest `most` of them that match all that is given."""

    call_id: str | None = None
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    most: int = 50


async def listed(engine: AsyncEngine, wanted: WantedEntries) -> list[Entry]:
    """Entries, oldest first."""
    query = sa.select(audit).order_by(audit.c.seq.desc()).limit(wanted.most)
    for name in ("call_id", "actor", "action", "subject"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(audit.c[name] == value)
    if wanted.since is not None:
        query = query.where(audit.c.at >= wanted.since)
    async with engine.begin() as connection:
        rows = await connection.execute(query)
        return [_entry(row) for row in rows][::-1]


async def entries(engine: AsyncEngine) -> AsyncIterator[Entry]:
    """The whole chain in order, a page at a time."""
    seq = None
    while True:
        query = sa.select(audit).order_by(audit.c.seq).limit(_PAGE)
        if seq is not None:
            query = query.where(audit.c.seq > seq)
        async with engine.begin() as connection:
            rows = (await connection.execute(query)).all()
        for row in rows:
            yield _entry(row)
        if len(rows) < _PAGE:
            return
        seq = rows[-1].seq


def _entry(row: Any) -> Entry:
    return Entry(**row._mapping)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at the whole chain found."""

    entries: int
    anchors: int
    faults: tuple[str, ...]
    last: Entry | None


async def verify(engine: AsyncEngine, *, secrets: Path | None = None) -> Verified:
    """Check every entry against its key, its neighbours and the anchors.

    Anchors are read first: an entry made meanwhile is no fault. Raises AuditKeyError,
    OSError, SQLAlchemyError.
    """
    files = files_of(secrets)
    anchors = files.anchors()
    check, found, last, count = Check(files.keys(), anchors), list[str](), None, 0
    anchored, bare = {anchor.seq for anchor in anchors}, list[Entry]()
    async for entry in entries(engine):
        found += check.take(entry)
        last, count = entry, count + 1
        if entry.seq not in anchored:
            bare.append(entry)
    anchored = {anchor.seq for anchor in files.anchors()} if bare else anchored
    since = now() - timedelta(seconds=_ANCHOR_PATIENCE_SECONDS)
    missing = [e.seq for e in bare if e.seq not in anchored and e.at < since]
    if missing:
        found.append(
            f"without an anchor in {files.anchor_file}: {spans(missing)}. The file was "
            "removed, cut or could not be written, or another node made them: lay its "
            "anchors beside it as audit.anchor.NAME"
        )
    return Verified(count, len(anchors), (*found, *check.end()), last)
