"""The measuring script measures."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from ghostfilter.evaluate import clips, judge_clip, report
from pbx.model.verdict import Reason
from tests.unit.ghostfilter.sounds import silence, vowel

ROW = {"label": "speech", "class": "vowel", "snr": "", "speech_start": "1.0"}


def test_a_clip_is_judged_with_its_delay() -> None:
    judged = judge_clip(ROW, silence(1.0) + vowel(2.0))
    assert judged.reason is Reason.VOICE
    assert judged.delay_seconds is not None
    assert 0.2 < judged.delay_seconds < 0.35
    noisy = judge_clip(ROW | {"snr": "-5"}, silence(1.0) + vowel(2.0))
    assert noisy.delay_seconds is None
    assert judge_clip(ROW, silence(3.0)).reason is Reason.SILENT


def test_the_report_counts_by_label_or_kind() -> None:
    judged = [judge_clip(ROW, silence(1.0) + vowel(s)) for s in (1.0, 2.0)]
    judged.append(judge_clip(ROW | {"label": "ghost", "class": "hush"}, silence(3.0)))
    text = report(judged)
    assert "| speech | 2 | 2 (100%) | 0 (0%) | 0 (0%) |" in text
    assert "| ghost | 1 | 0 (0%) | 0 (0%) | 1 (100%) |" in text
    assert "2 clips: median 0.2" in text
    assert "| ghost hush | 1 |" in report(judged, by_kind=True)


def test_a_law_clips_are_read(tmp_path: Path) -> None:
    codes = bytes(range(256)) + b"\xd5" * 64
    body = b"fmt " + struct.pack("<IHHIIHH", 16, 6, 1, 8000, 8000, 1, 8)
    body += b"data" + struct.pack("<I", len(codes)) + codes
    header = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE"
    (tmp_path / "a.wav").write_bytes(header + body)
    (tmp_path / "manifest.csv").write_text("path,label\na.wav,speech\n")
    ((row, pcm),) = clips(tmp_path)
    assert row["label"] == "speech"
    samples = np.frombuffer(pcm, np.int16)
    assert samples[0xD5] == 8  # the smallest positive value
    assert samples[0x55] == -8
    assert samples[0xAA] == 32256  # the largest, as in ITU-T G.711 scaled to 16 bits
    assert samples[0x2A] == -32256
