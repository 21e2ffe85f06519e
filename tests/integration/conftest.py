"""What tests of the record store share: both databases, empty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pbx.records.store import RecordStore


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that holds nothing yet."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[RecordStore]:
    """Open, and empty."""
    opened = await RecordStore.open(url)
    yield opened
    await opened.close()
