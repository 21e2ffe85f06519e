"""Every table of the record store, whichever room keeps it: what migrations must make.

A room with tables of its own declares them on `metadata` in a module named here.
"""

from __future__ import annotations

from pbx.records import audit_tables as audit_tables
from pbx.records import ledger_tables as ledger_tables
from pbx.records import privacy_tables as privacy_tables
from pbx.records import token_tables as token_tables
from pbx.records import webhook_tables as webhook_tables
from pbx.records.tables import metadata

__all__ = ["metadata"]
