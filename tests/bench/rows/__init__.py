"""The rows of the report, one module each. A new one: add its name to `ROWS`."""

from __future__ import annotations

import importlib

from tests.bench.row import Row

ROWS = (
    *("calls_cpu", "fastagi", "ringing", "record", "ghostfilter"),
    *("fold", "stores", "feed"),
)
"""Modules of this package; the order is the report's."""


def load(names: tuple[str, ...] = ROWS) -> list[Row]:
    """The rows of these modules, imported now: what one needs may be missing."""
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return [module.ROW for module in modules]
