"""Real calls, folded again: each folder is one, from a real Asterisk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pbx.model.call import as_record
from pbx.model.channels import group
from pbx.model.events import read_event
from pbx.model.fold import fold
from pbx.records.journal import cut

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "folder", sorted(path.parent.name for path in HERE.glob("*/journal.jsonl"))
)
def test_a_real_call(folder: str) -> None:
    files = sorted((HERE / folder).glob("*.jsonl"))
    texts = [path.read_bytes() for path in files]
    lines = [raw for text in texts for raw in cut(text, 0, is_end=True)]
    events = [read_event(raw.raw) for raw in lines]
    records = [as_record(fold(some)) for some in group(events)]
    assert records == json.loads((HERE / folder / "expected.json").read_text())
