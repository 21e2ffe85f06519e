"""Certificates: what was taken out, how many, by which rule; entries of the audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.model.audit import Entry
from pbx.records import audit
from pbx.records.audit import WantedEntries

RETAINED = "retention"
ERASED = "erased"
ACTIONS = (RETAINED, ERASED)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One class of data, taken out in one run."""

    what: str
    """The class: `numbers`, `raw lines`, `released audio`, …"""
    rule: str
    """Why now: `number_days = 365`, or the request."""
    until: datetime | None
    """Of calls that began before; None: the rule names the calls."""
    count: int
    """Calls."""
    ids_sha256: str
    """Over the calls' ids (`hash_of`)."""


def hash_of(call_ids: Iterable[str]) -> str:
    """SHA-256, hex, over the ids in order of their bytes, each with a line feed:
    `sort -u | sha256sum` in the C locale."""
    told = "".join(f"{call_id}\n" for call_id in sorted(set(call_ids)))
    return hashlib.sha256(told.encode()).hexdigest()


def certificate(
    what: str, rule: str, until: datetime | None, call_ids: Iterable[str]
) -> Certificate:
    """The certificate over these calls."""
    ids = set(call_ids)
    return Certificate(what, rule, until, len(ids), hash_of(ids))


async def certify(
    connection: AsyncConnection,
    made: Certificate,
    *,
    actor: str,
    secrets: Path | None,
    action: str = RETAINED,
    reason: str | None = None,
    subject: str | None = None,
    more: dict[str, Any] | None = None,
) -> Entry:
    """Put a certificate into the chain, in the transaction of what it certifies."""
    details = asdict(made) | {"until": made.until and made.until.isoformat()}
    return await audit.append(
        connection,
        actor=actor,
        action=action,
        reason=reason or made.rule,
        subject=subject,
        details=details | (more or {}),
        secrets=secrets,
    )


async def listed(
    engine: AsyncEngine, *, since: datetime | None = None, most: int = 100
) -> list[tuple[Entry, dict[str, Any]]]:
    """Certificates with what they say, oldest first."""
    found = []
    for action in ACTIONS:
        wanted = WantedEntries(action=action, since=since, most=most)
        found += await audit.listed(engine, wanted)
    found.sort(key=lambda entry: entry.seq)
    return [(entry, json.loads(entry.details or "{}")) for entry in found][-most:]
