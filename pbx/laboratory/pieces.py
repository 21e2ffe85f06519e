"""From a sound file of any kind to usable pieces of telephone rate."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pbx.laboratory.transforms import shape, to_pcm, to_sound

Pcm = NDArray[np.int16]
"""8 kHz, one channel."""

RATE_HZ = 8000
FRAME = 160
LONGEST_SECONDS = 8.0
SHORTEST_SECONDS = 0.12
"""Some letters spoken alone last 0.15 s."""
SILENT_DBFS = -55.0
TRIM_DB = 38.0
"""Edges so far below the loudest frame are no part of the sound."""
LONGEST_FILE_SECONDS = 180
"""Of a long piece of music more than this adds nothing new."""
LOW_HZ = 120.0
"""Rumble below it would decide the level and the trimming."""
CLIPPED_SHARE = 0.02
DECODE_SECONDS = 300.0
BATCH = 48
"""Files a run of ffmpeg: its start costs more than a short file's decoding."""


def decode(paths: Sequence[Path], raw_rate_hz: int | None = None) -> list[Pcm | None]:
    """Each file as 8 kHz mono; None for one that ffmpeg cannot read."""
    sounds: list[Pcm | None] = []
    for start in range(0, len(paths), BATCH):
        sounds += _decode_batch(paths[start : start + BATCH], raw_rate_hz)
    return sounds


def _decode_batch(paths: Sequence[Path], raw_rate_hz: int | None) -> list[Pcm | None]:
    raw = ["-f", "s16le", "-ar", str(raw_rate_hz), "-ac", "1"] if raw_rate_hz else []
    with tempfile.TemporaryDirectory(prefix="gerbang-decode-") as folder:
        argv = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
        for path in paths:
            argv += [*raw, "-i", str(path)]
        outs = [Path(folder) / f"{i}.s16" for i in range(len(paths))]
        for i, out in enumerate(outs):
            argv += ["-map", f"{i}:a:0", "-ac", "1", "-ar", str(RATE_HZ)]
            argv += ["-t", str(LONGEST_FILE_SECONDS), "-f", "s16le", str(out)]
        done = subprocess.run(argv, capture_output=True, timeout=DECODE_SECONDS)
        if done.returncode and len(paths) > 1:
            return [one for path in paths for one in _decode_batch([path], raw_rate_hz)]
        return [_read(out) for out in outs]


def _read(path: Path) -> Pcm | None:
    if not path.exists() or path.stat().st_size < FRAME:
        return None
    return np.fromfile(path, dtype="<i2")


def frame_dbfs(pcm: Pcm) -> NDArray[np.float64]:
    """The level of every whole 20 ms frame, in dBFS (a full-scale square wave is 0)."""
    whole = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power = (whole**2).mean(axis=1)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-3) / 32768.0**2)
    return levels


def trim(pcm: Pcm) -> Pcm:
    """Without the silence before and after; what is not trimmed keeps 40 ms of edge."""
    levels = frame_dbfs(pcm)
    if not len(levels):
        return pcm
    loud = np.flatnonzero(levels > max(levels.max() - TRIM_DB, SILENT_DBFS))
    if not len(loud):
        return pcm[:0]
    start = max(0, int(loud[0]) - 2) * FRAME
    return pcm[start : (int(loud[-1]) + 3) * FRAME]


def cut(pcm: Pcm, longest_seconds: float = LONGEST_SECONDS) -> list[Pcm]:
    """Pieces of at most `longest_seconds`, cut where the last third is quietest."""
    longest = int(longest_seconds * RATE_HZ)
    pieces = []
    while len(pcm) > longest:
        earliest = longest * 2 // 3
        quiet = int(np.argmin(frame_dbfs(pcm[earliest:longest])))
        at = earliest + quiet * FRAME + FRAME // 2
        pieces.append(pcm[:at])
        pcm = pcm[at:]
    return [*pieces, pcm]


def fault(pcm: Pcm) -> str:
    """Why a piece is of no use: "short", "silent", "clipped", or "" for a good one."""
    if len(pcm) < SHORTEST_SECONDS * RATE_HZ:
        return "short"
    if frame_dbfs(pcm).max(initial=-99.0) < SILENT_DBFS:
        return "silent"
    if np.mean(np.abs(pcm.astype(np.int32)) >= 32_700) > CLIPPED_SHARE:
        return "clipped"
    return ""


def pieces_of(pcm: Pcm) -> list[Pcm]:
    """The usable pieces of a decoded file, in order, without what no phone sends."""
    if len(pcm) < FRAME or fault(pcm) == "clipped":
        return []
    heard = to_pcm(shape(to_sound(pcm), low_hz=LOW_HZ))
    pieces = [trim(piece) for piece in cut(trim(heard))]
    return [piece for piece in pieces if not fault(piece)]
