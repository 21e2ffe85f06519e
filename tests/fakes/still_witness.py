"""Wakes every 20 ms and notes when it came much too late: the machine stood still.

A process of its own for each core (`python -S still_witness.py FILE PID CORE`), so that
a busy test is not taken for a still machine, and one core that stands still is seen. A
line is `from until`, seconds of the monotonic clock. Ends with the process PID, or when
its file is gone. A fourth argument `apart` makes it nobody's child.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

EVERY_SECONDS = 0.02
STILL_SECONDS = 0.1
"""Five frames of a telephone. Beside 24 busy loops on two cores nobody waited so long
in 20 s."""


def watch(file: Path, companion: int) -> None:
    with file.open("a", buffering=1) as told:
        last = time.monotonic()
        while Path(f"/proc/{companion}").exists() and file.exists():
            time.sleep(EVERY_SECONDS)
            now = time.monotonic()
            if now - last > STILL_SECONDS:
                print(last, now, file=told)
            last = now


if __name__ == "__main__":
    if sys.argv[4:] == ["apart"]:
        if os.fork():
            os._exit(0)
        os.setsid()
    os.sched_setaffinity(0, {int(sys.argv[3])})
    watch(Path(sys.argv[1]), int(sys.argv[2]))
