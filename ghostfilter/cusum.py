"""Is somebody there by now? E. S. Page's cumulative sum test (Biometrika 41, 1954).

What each frame weighs for somebody is added up; below zero the sum begins anew. Clear
speech is sure in a fifth of a second, fainter speech later, and no window must be
chosen. (An average of 240 ms that found as many people took twice as many
pockets for them.)
"""

from __future__ import annotations

OVERSHOOT = 15.0
"""The sum stops so far above the threshold, so that it is gone soon after a voice."""
AHEAD_FRAMES = 4
"""A block is judged at its end, 80 ms late on average. So a sum counts as there that
would be in so many frames more, were they like the last four."""


class Cusum:
    """One call's evidence for one kind of sound. `push` frame by frame."""

    __slots__ = ("_frame", "_most", "highest", "since", "sums", "threshold", "value")

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._most = threshold + OVERSHOOT
        self._frame = 0
        self.value = 0.0
        self.highest = 0.0
        """The highest sum of the call."""
        self.since = 0
        """The frame at which the present sum began."""
        self.sums: list[float] = []
        """The last block's, one a frame."""

    def push(self, weights: list[float]) -> bool:
        """Add what a block's frames weigh; is a sum at the threshold, or soon to be?"""
        if self.value == 0.0 and max(weights) <= 0.0:  # nobody: most blocks, 1 µs
            self._frame += len(weights)
            self.since = self._frame
            self.sums = [0.0] * len(weights)
            return False
        before = value = self.value
        most, sums = self._most, []
        for weight in weights:
            value += weight
            self._frame += 1
            if value <= 0.0:
                value = 0.0
                self.since = self._frame
            elif value > most:
                value = most
            sums.append(value)
        self.value, self.sums = value, sums
        top = max(sums)
        ahead = 2 * value - sums[-1 - min(AHEAD_FRAMES, len(sums) - 1)]
        if top < self.threshold <= ahead:
            top, lasts = self.threshold, [before, *sums[:-1]]
            rose = [now > last for last, now in zip(lasts, sums, strict=True)]
            self.sums = [top if up else now for up, now in zip(rose, sums, strict=True)]
        self.highest = max(self.highest, top)
        return top >= self.threshold

    def is_sure_with(self, weights: list[float]) -> bool:
        """Would it be, or be about to be, were these frames pushed? Remembers only
        that it was sure."""
        values = [self.value]
        for weight in weights:
            values.append(max(0.0, values[-1] + weight))
        ahead = 2 * values[-1] - values[-1 - min(AHEAD_FRAMES, len(weights))]
        if max(*values, ahead) < self.threshold:
            return False
        self.highest = max(self.highest, self.threshold)
        return True

    def held(self) -> list[bool]:
        """In which frames of the last block the sum was at the threshold; where it is
        about to be, those in which it rose."""
        return [value >= self.threshold for value in self.sums]
