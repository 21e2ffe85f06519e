"""Facts survive the journal: no quote, no comma, and read back as they were told."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qsl, quote

from hypothesis import given
from hypothesis import strategies as st

from agi.facts import MAX_EVIDENCE_BYTES, Judged, KeyPressed, PromptHeard
from agi.protocol import command_line
from ghostfilter.verdict import Verdict
from pbx.model.verdict import Reason, Ruling


def test_each_fact_as_the_contract_says() -> None:
    assert PromptHeard("greeting", 20, 1340, "key").told() == (
        "PROMPT,name=greeting&at_ms=20&heard_ms=1340&ended=key"
    )
    assert KeyPressed("#", 1340).told() == "KEY,digit=%23&at_ms=1340"
    verdict = Verdict(Ruling.RELEASE, Reason.SILENT, "silence, floor", 0.97)
    assert Judged(verdict, 7).told() == (
        "VERDICT,verdict=release&reason=silent&at_ms=7&evidence=silence%2C%20floor"
        "&confidence=0.97"
    )
    tone = KeyPressed("5", 1340, source="audio")
    assert tone.told() == "KEY,digit=5&at_ms=1340&source=audio"
    drawn = dataclasses.replace(verdict, ruling=Ruling.PASS, is_holdout=True)
    assert Judged(drawn, 7).told().endswith("&confidence=0.97&holdout=1")
    watched = dataclasses.replace(verdict, ruling=Ruling.PASS, is_shadow=True)
    assert Judged(watched, 7).told().endswith("&confidence=0.97&shadow=1")


@given(st.text())
def test_any_evidence_survives(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    told = Judged(Verdict(Ruling.PASS, Reason.VOICE, text), 1).told()
    name, _, extra = told.partition(",")
    assert not set(extra) & set("\",'\\ \n")
    kept = dict(parse_qsl(extra, keep_blank_values=True))["evidence"]
    assert text.startswith(kept)
    assert len(quote(kept, safe="")) <= MAX_EVIDENCE_BYTES
    assert kept == text or len(quote(text[: len(kept) + 1], safe="")) > (
        MAX_EVIDENCE_BYTES
    )
    command_line("EXEC", "CELGenUserEvent", told)
