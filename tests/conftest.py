"""Shared by all tests: the real Asterisk, and nobody leaves a task behind."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from pbx.asterisk import run
from pbx.settings import Settings

# How long an example takes says how busy the machine is; a test's own timeout holds.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def asterisk_root() -> run.Root:
    """The Asterisk tests run on. Its absence is a failure with a cure, never a skip."""
    try:
        return run.find_root(Settings())
    except run.NotInstalled as error:
        pytest.fail(f"{error} (or `make test`, which does)", pytrace=False)


@pytest.fixture(scope="session")
def asterisk_user() -> run.User | None:
    """Whom Asterisk runs as here: `gerbang` if we are root, else ourselves."""
    try:
        return run.service_user()
    except run.NotInstalled as error:
        pytest.fail(f"{error} (or `make test`, which does)", pytrace=False)


@pytest.fixture(autouse=True)
def _nothing_left_running(request: pytest.FixtureRequest) -> None:
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("_task_watch")


@pytest_asyncio.fixture
async def _task_watch() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for _ in range(5):  # what was cancelled may take a turn of the loop to end
        if left:
            await asyncio.sleep(0)
            left = {task for task in left if not task.done()}
    assert not left, f"the test left tasks behind: {left}"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command called within a test logs to that test's stdout, which ends with it."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """A developer's GERBANG_STATE must not decide a test, nor be touched by it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GERBANG_STATE", "GERBANG_CITY", "GERBANG_DATABASE_URL"):
            patch.delenv(name, raising=False)
        yield
