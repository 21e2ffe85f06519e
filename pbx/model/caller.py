"""What the network says of the caller: three headers of the INVITE, and the cell.

Raw text, as it came. P-Access-Network-Info (RFC 7315, values in 3GPP TS 24.229 7.2A.4)
names the radio cell; a value the phone itself sent can be anything, one the network
vouches for says `network-provided`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from pbx.model.call import CallerFacts
from pbx.model.facts import CallerTold, Fact

_SPEC = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*")+')
"""One access-net-spec of a comma-separated list; a comma within quotes parts none."""

_CELL = re.compile(
    r";\s*(?:cgi-3gpp|utran-cell-id-3gpp|ci-3gpp2|ci-3gpp2-femto)\s*=\s*"
    r'(?:"([^"]*)"|([^\s;,"]+))',
    re.IGNORECASE,
)
_VOUCHED = re.compile(r";\s*network-provided\b", re.IGNORECASE)

_NOTHING = CallerFacts()


def caller_facts(facts: Sequence[tuple[datetime, Fact]]) -> CallerFacts:
    """The headers the caller's channel was told of, their pieces put together."""
    pieces: dict[str, dict[int, str]] = {}
    for _, fact in facts:
        if type(fact) is CallerTold:
            pieces.setdefault(fact.header, {}).setdefault(fact.part, fact.value)
    if not pieces:
        return _NOTHING
    access = _whole(pieces.get("access-network"))
    return CallerFacts(
        asserted=_whole(pieces.get("asserted")),
        access_network=access,
        geolocation=_whole(pieces.get("geolocation")),
        cell_id=cell_id(access) if access else None,
    )


def _whole(pieces: dict[int, str] | None) -> str | None:
    if not pieces:
        return None
    return "".join(pieces[part] for part in sorted(pieces)) or None


def cell_id(access_network: str) -> str | None:
    """The cell in a P-Access-Network-Info, the network's own word before the phone's.

    `3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=5101001F2A1B2C3D;network-provided` →
    `5101001F2A1B2C3D`: MCC, MNC, area and cell as the access writes them, not taken
    apart. None where no cell is named, as over WLAN.
    """
    specs = _SPEC.findall(access_network)
    specs.sort(key=lambda spec: _VOUCHED.search(spec) is None)
    for spec in specs:
        if (found := _CELL.search(spec)) and (cell := found[1] or found[2]):
            return cell
    return None
