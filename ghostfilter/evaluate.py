"""How well the filter judges recorded callers.

`python -m ghostfilter.evaluate CORPUS [--kinds]`, where CORPUS holds `manifest.csv`
(columns path, label, class, snr, speech_start) and the clips it names, 8 kHz mono A-law
WAV. Development only; nothing on the call path imports this.
"""

from __future__ import annotations

import csv
import struct
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from ghostfilter.detector import Detector
from ghostfilter.signals import FRAME_SECONDS
from ghostfilter.vad import FRAME_BYTES
from ghostfilter.verdict import Context, Policy, judge
from pbx.model.policy import Treatment
from pbx.model.verdict import Reason

_POLICY = Policy(silent=Treatment.RELEASE, noise=Treatment.RELEASE)
CLEAN_SNR_DB = 10.0
"""The delay of the first signal is told for clips at least this clean."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the filter made of one clip."""

    label: str
    kind: str
    reason: Reason
    delay_seconds: float | None
    """From the labelled start of speech to the signal; None where unknown."""


def judge_clip(row: dict[str, str], pcm: bytes) -> Judged:
    """Play one clip into a fresh detector, as a call of exactly its length."""
    detector = Detector()
    heard_at: float | None = None
    for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
        if detector.push(pcm[at : at + FRAME_BYTES]) is not None:
            heard_at = (at / FRAME_BYTES + 1) * FRAME_SECONDS
    evidence = detector.evidence()
    verdict = judge(evidence, _POLICY, Context(expected_frames=evidence.frames))
    delay = None
    is_clean = float(row["snr"] or 99) >= CLEAN_SNR_DB
    if heard_at is not None and row["speech_start"] and is_clean:
        delay = heard_at - float(row["speech_start"])
    return Judged(row["label"], row["class"], verdict.reason, delay)


def clips(corpus: Path) -> Iterator[tuple[dict[str, str], bytes]]:
    """Each row of the manifest with its clip as 16-bit audio."""
    table = _a_law()
    with (corpus / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield row, _read_a_law(corpus / row["path"], table)


def report(judged: list[Judged], *, by_kind: bool = False) -> str:
    """A table in Markdown: share of voice, noise and silence by label."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        groups[f"{one.label} {one.kind}" if by_kind else one.label].append(one)
    lines = ["| label | clips | voice | noise | silent |", "|---|---|---|---|---|"]
    for name, group in sorted(groups.items()):
        count = Counter(one.reason for one in group)
        shares = (
            f"{count[reason]} ({count[reason] / len(group):.0%})"
            for reason in (Reason.VOICE, Reason.NOISE, Reason.SILENT)
        )
        lines.append(f"| {name} | {len(group)} | {' | '.join(shares)} |")
    delays = [
        one.delay_seconds
        for one in judged
        if one.label == "speech" and one.delay_seconds is not None
    ]
    p95 = quantiles(delays, n=20)[-1]
    lines.append(
        f"\nOnset of speech to signal, SNR ≥ {CLEAN_SNR_DB:g} dB, {len(delays)} clips: "
        f"median {median(delays):.2f} s, p95 {p95:.2f} s"
    )
    return "\n".join(lines)


def _a_law() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """G.711 A-law: byte → sample (ITU-T G.711, table 1a; 13 bits shifted to 16)."""
    table = np.zeros(256, np.int16)
    for code in range(256):
        bits = code ^ 0x55
        exponent, mantissa = (bits >> 4) & 7, (bits & 15) << 4
        size = mantissa + 8 if exponent == 0 else (mantissa + 0x108) << (exponent - 1)
        table[code] = size if bits & 0x80 else -size
    return table


def _read_a_law(path: Path, table: np.ndarray[tuple[int], np.dtype[np.int16]]) -> bytes:
    """Raises ValueError if the file has no data chunk."""
    raw = path.read_bytes()
    at = raw.index(b"data")
    (size,) = struct.unpack("<I", raw[at + 4 : at + 8])
    return table[np.frombuffer(raw[at + 8 : at + 8 + size], np.uint8)].tobytes()


if __name__ == "__main__":
    everything = [judge_clip(row, pcm) for row, pcm in clips(Path(sys.argv[1]))]
    sys.stdout.write(report(everything, by_kind="--kinds" in sys.argv) + "\n")
