"""A small corpus and the real prompts, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbx.laboratory.dialogue.call import timetable
from pbx.laboratory.dialogue.house import House, Timetable, usual_house
from pbx.laboratory.dialogue.stock import Stock
from pbx.laboratory.dialogue.takes import read_stock
from pbx.settings import Settings
from tests.unit.laboratory import mini_corpus


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Kediri's flow and prompts."""
    return usual_house(Settings(cache=tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def met(house: House) -> Timetable:
    """What a silent caller meets."""
    return timetable(house)


@pytest.fixture(scope="session")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recorded callers."""
    return mini_corpus.write(tmp_path_factory.mktemp("callers"))


@pytest.fixture(scope="session")
def stock(callers: Path) -> Stock:
    """The same, ready to be put into calls."""
    return read_stock(callers).stock
