"""Reaching the store: engines that fail fast, and the schema brought up to date.

SQLite runs in WAL with `synchronous=FULL`: a commit is on disk before the feed can
show it, so a power cut never takes back what a consumer was told. It costs one fsync a
batch.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, NullPool, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_MIGRATIONS = Path(__file__).parent / "migrations"
logging.getLogger("alembic.runtime").setLevel(logging.WARNING)  # "Context impl …"

_CONNECT_SECONDS = 5.0
_COMMAND_SECONDS = 10.0
_BUSY_MILLISECONDS = 5000
_MIGRATION_LOCK = 112_112
"""PostgreSQL's advisory lock that lets one process at a time change the schema."""


def open_engine(url: str, *, writes: bool = True) -> AsyncEngine:
    """An engine for `postgresql+asyncpg://` or `sqlite+aiosqlite://`.

    Every wait has an end: connecting 5 s, a statement 10 s, SQLite's lock 5 s. With
    `writes`, SQLite transactions take the write lock at once (BEGIN IMMEDIATE), since
    one that begins by reading cannot wait for it later. Without, a SQLite file that
    does not exist raises FileNotFoundError. Any other address raises ArgumentError.
    Errors never quote what was to be stored: callers' numbers stay out of logs.
    """
    backend = make_url(url).get_backend_name()
    if backend not in ("postgresql", "sqlite"):
        raise ArgumentError(
            f"records are kept in PostgreSQL or SQLite, not in {backend}; correct "
            "GERBANG_DATABASE_URL"
        )
    if backend == "postgresql":
        return create_async_engine(
            url,
            hide_parameters=True,
            pool_size=2,
            max_overflow=2,
            pool_timeout=_CONNECT_SECONDS,
            pool_pre_ping=True,
            connect_args={
                "timeout": _CONNECT_SECONDS,
                "command_timeout": _COMMAND_SECONDS,
            },
        )
    database = make_url(url).database or ""
    if not database or database == ":memory:":
        raise ArgumentError(
            "GERBANG_DATABASE_URL names no file; write sqlite:///path/to/records"
        )
    if writes:
        Path(database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(url, hide_parameters=True)
    elif not Path(database).exists():
        raise FileNotFoundError(f"there is no record store at {database}")
    else:  # a reader must not make the file, perhaps as root, before the recorder does
        engine = create_async_engine(
            f"sqlite+aiosqlite:///file:{quote(database)}?mode=rw&uri=true",
            hide_parameters=True,
        )
    _teach_sqlite(engine, Path(database), writes=writes)
    return engine


class StoreGoneError(OSError):
    """SQLite's file was moved, deleted or replaced under us."""


def _teach_sqlite(engine: AsyncEngine, path: Path, *, writes: bool) -> None:
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        record.info["file"] = _file_at(path)
        connection.isolation_level = None  # we begin ourselves, see below
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
        if writes:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA secure_delete=ON")  # what goes is written over
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _began(connection: Connection) -> None:
        # An open file lives on without its name: SQLite would go on writing to it, and
        # all would be lost with the last of us to close it.
        if connection.info["file"] != _file_at(path):
            connection.invalidate()
            raise StoreGoneError(f"{path} is no longer the file that was opened")
        connection.exec_driver_sql(begin)


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def empty_wal(engine: AsyncEngine) -> bool:
    """After an erasure: SQLite's `-wal` file, which has the old pages, is emptied.

    False: a reader holds it for the moment; it is written over as the store is used.
    PostgreSQL's dead rows go with its own autovacuum. Raises the driver's errors.
    """
    if engine.dialect.name != "sqlite":
        return True
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        wire: Any = raw.driver_connection
        cursor = await wire.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        is_busy, *_ = await cursor.fetchone()
        await cursor.close()
    return not is_busy


async def is_current(engine: AsyncEngine) -> bool:
    """Whether the schema is this program's already: nothing to migrate."""
    newest, found = await _revisions(engine)
    return found == newest


class OtherTablesError(SQLAlchemyError):
    """The store's tables are another version's."""


async def must_be_current(engine: AsyncEngine) -> None:
    """Before records are compared or mended: what another version's tables hold is
    not ours to judge. Raises OtherTablesError; a store without tables passes."""
    newest, found = await _revisions(engine)
    if found not in {newest, None}:
        raise OtherTablesError(
            f"the store's tables are of revision {found}, not {newest}"
        )


async def _revisions(engine: AsyncEngine) -> tuple[str | None, str | None]:
    """Of the tables: what this program wants, and what there is."""
    newest = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    async with engine.connect() as connection:
        found = await connection.run_sync(
            lambda c: MigrationContext.configure(c).get_current_revision()
        )
    return newest, found


async def migrate(engine: AsyncEngine, revision: str = "head") -> None:
    """Bring the schema to `revision`, in one transaction, one process at a time.

    On PostgreSQL over a connection of its own, whose statements may take their time:
    an index over ten million calls does.
    """
    if engine.dialect.name == "postgresql":
        patient = patient_engine(engine.url)
        try:
            await _migrate_with(patient, revision)
        finally:
            await patient.dispose()
    else:
        await _migrate_with(engine, revision)


def patient_engine(url: URL) -> AsyncEngine:
    """For PostgreSQL: connects within 5 s, then waits for a statement as it takes."""
    return create_async_engine(
        url,
        hide_parameters=True,
        poolclass=NullPool,
        connect_args={"timeout": _CONNECT_SECONDS},
    )


async def _migrate_with(engine: AsyncEngine, revision: str) -> None:
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK}
            )
        await connection.run_sync(_migrate, revision)


def _migrate(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    here = MigrationContext.configure(connection).get_current_revision()
    if revision == "base" or _is_older(script, revision, here):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def _is_older(script: ScriptDirectory, revision: str, here: str | None) -> bool:
    if here is None or revision in {"head", here}:
        return False
    below = {step.revision for step in script.iterate_revisions(here, "base")}
    return revision in below


def is_missing(error: BaseException) -> bool:
    """Whether a reader met a store that no recorder has made yet."""
    if isinstance(error, FileNotFoundError):
        return True
    return isinstance(error, DBAPIError) and (
        "no such table" in str(error) or sqlstate(error) == _UNDEFINED_TABLE
    )


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code for what it refuses; of any other error "". asyncpg's text
    does not name it, and is in the server's language."""
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")


_UNDEFINED_TABLE, _UNDEFINED_COLUMN, _NO_RIGHT = "42P01", "42703", "42501"

_CURES = (
    (
        (_NO_RIGHT,),
        "make the role that GERBANG_DATABASE_URL names the owner of that database and "
        "all its tables",
    ),
    (
        ("no longer the file",),
        "stop all of Gerbang112 before its store is moved, deleted or restored. The "
        "recorder opens what is there now, or makes a store of the journal files",
    ),
    (
        ("tables are of revision",),
        "run the Gerbang112 that made them, or, if they are older, start `gerbang "
        "recorder` of this one, it brings them up to date",
    ),
    (
        ("not a database", "malformed"),
        "the file is damaged: move it away and keep it. The recorder makes a new one "
        "from the journal files that are still there; older records come from a backup",
    ),
    (
        ("Can't locate revision",),
        "a newer Gerbang112 made this store: run that one, or name another store with "
        "GERBANG_DATABASE_URL",
    ),
    (
        ("no such column", _UNDEFINED_COLUMN),
        "this store has another Gerbang112's tables: start `gerbang recorder` of this "
        "one, it brings them up to date",
    ),
    (("is full", "No space left", "DiskFull"), "make room on its disk"),
    (("is locked",), "another program holds it: end that program"),
    (
        ("readonly", "unable to open", "Permission denied"),
        "give the file and its directory to the user who runs us",
    ),
)


def explain(error: BaseException) -> str:
    """What ails the store and the cure, in one line for people."""
    said = str(error).strip() or "no answer in time"
    told = f"{sqlstate(error)} {said}"
    cure = next(
        (cure for signs, cure in _CURES if any(sign in told for sign in signs)),
        "start the database, or correct GERBANG_DATABASE_URL",
    )
    return f"{said.splitlines()[0]}; {cure}"
