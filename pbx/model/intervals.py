"""How sure a share is: Clopper-Pearson intervals, from counts alone.

"0 of 530 people dropped" does not mean that none ever will be: the upper bound says how
many might be. The exact interval never promises more than its level, however few the
calls (C. J. Clopper, E. S. Pearson, Biometrika 26, 1934).

Its bounds are beta quantiles. A library for them (scipy) is 100 MB on every machine
that answers 112; the few lines here find the same numbers by bisection over the
binomial's tail, and the tests hold them to scipy's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_HALVINGS = 60
"""Of the interval 0…1: the last bit of a double."""
_NEGLIGIBLE = 1e-17
"""A term this small beside the sum changes no digit of it; later ones are smaller."""


def clopper_pearson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The interval that holds the true share of which `k` of `n` were seen.

    Returns (low, high), both 0…1; (0, 1) when nothing was seen at all. Raises
    ValueError unless 0 ≤ k ≤ n and 0 < level < 1.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    outside = (1 - level) / 2
    low = high = None
    if k > 0:
        low = _rising_to(outside, lambda p: at_least(k, n, p))
    if k < n:
        high = _rising_to(1 - outside, lambda p: 1 - at_most(k, n, p))
    return (0.0 if low is None else low, 1.0 if high is None else high)


def at_most(k: int, n: int, p: float) -> float:
    """The chance of `k` or fewer of `n`, each alone with chance `p`."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    if 1 - p >= 1:  # 0, or so little that a double cannot tell
        return 1.0
    if p >= 1:
        return 0.0
    if k > n * p:
        # Summed from k upwards instead: downwards the terms would grow at first.
        return 1 - _at_least_far(k + 1, n, p)
    return _at_least_far(n - k, n, 1 - p)


def at_least(k: int, n: int, p: float) -> float:
    """The chance of `k` or more of `n`, each alone with chance `p`."""
    return at_most(n - k, n, 1 - p)


def _at_least_far(k: int, n: int, p: float) -> float:
    """`at_least` for 0 < k and k above the mean n·p, where each term is the smaller."""
    term = math.exp(
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(p)
        + (n - k) * math.log1p(-p)
    )
    total = term
    odds = p / (1 - p)
    for i in range(k, n):
        term *= (n - i) / (i + 1) * odds
        total += term
        if term <= total * _NEGLIGIBLE:
            break
    return min(total, 1.0)


def _rising_to(value: float, chance: Callable[[float], float]) -> float:
    """Where a chance that rises with p reaches `value`."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if chance(middle) < value:
            low = middle
        else:
            high = middle
    return (low + high) / 2
