"""What the network says of the caller, and the radio cell in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.model.call import CallerFacts
from pbx.model.caller import caller_facts, cell_id
from pbx.model.facts import CallerTold, Released
from tests.fakes.journal_lines import START


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=5101001F2A1B2C3D", "5101001F2A1B2C3D"),
        ('3GPP-UTRAN-FDD; utran-cell-id-3gpp="51010FFFE0BC1C7D"', "51010FFFE0BC1C7D"),
        ('3GPP-GERAN;cgi-3gpp=5101012340ABC;local-time-zone="UTC+7"', "5101012340ABC"),
        ("3GPP-NR-FDD;UTRAN-CELL-ID-3GPP=51010a;network-provided", "51010a"),
        ("3GPP2-1X;ci-3gpp2=1234;x", "1234"),
        (
            'A;utran-cell-id-3gpp="the phone, says",B;utran-cell-id-3gpp=ours;'
            "network-provided",
            "ours",
        ),
        ('A;utran-cell-id-3gpp="the phone, says", B;x=1', "the phone, says"),
        ("IEEE-802.11;i-wlan-node-id=00BAB0C0DE00", None),
        ("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=", None),
        ('3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=""', None),
        ('A;utran-cell-id-3gpp="torn', None),
        ("", None),
    ],
)
def test_the_cell(header: str, cell: str | None) -> None:
    assert cell_id(header) == cell


@given(st.text(max_size=60))
def test_any_header_is_read(header: str) -> None:
    found = cell_id(header)
    assert found is None or found in header


def test_pieces_are_put_together_in_their_order() -> None:
    facts = [
        CallerTold("geolocation", 2, "b>"),
        CallerTold("geolocation", 1, "<a"),
        CallerTold("geolocation", 1, "<again"),
        CallerTold("access-network", 1, "3GPP-GERAN;cgi-3gpp=510"),
        CallerTold("asserted", 1, ""),
        Released("goodbye"),
    ]
    assert caller_facts([(START, fact) for fact in facts]) == CallerFacts(
        asserted=None,
        access_network="3GPP-GERAN;cgi-3gpp=510",
        geolocation="<ab>",
        cell_id="510",
    )


def test_what_is_not_told_is_not_known() -> None:
    only = [(START, CallerTold("asserted", 1, "<sip:1@x>"))]
    assert caller_facts(only) == CallerFacts(asserted="<sip:1@x>")
    assert caller_facts([]) == CallerFacts()
