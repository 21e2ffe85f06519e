"""Which call comes at which index. A call is known by (seed, index) alone.

Of forty calls in a row thirty are people, one behaviour after the other; seven are
ghosts, clip after clip in a shuffled order, so that every clip counts alike as in the
manifest; the rest are distant voices, unclear sounds, our own echo and failing media.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pbx.laboratory.corpus import CorpusError
from pbx.laboratory.dialogue.house import Timetable
from pbx.laboratory.dialogue.line import MOBILE, Line
from pbx.laboratory.dialogue.people import BEHAVIOURS, Play
from pbx.laboratory.dialogue.pockets import (
    OWN_ECHO,
    any_of,
    goes_on,
    media_gap,
    no_media,
    own_echo,
)
from pbx.laboratory.dialogue.scene import Scene, with_line
from pbx.laboratory.dialogue.sounds import Dice
from pbx.laboratory.dialogue.stock import Stock, Take
from pbx.laboratory.dialogue.takes import PROMPT_ECHO

ROUND = 40
PEOPLE, GHOSTS = 30, 7
"""Of forty; then one slot each for distant, own echo or fault, and unclear sounds."""
MOBILE_SHARE = 0.4
"""Of calls whose sound has not been through a mobile phone's codec."""
_LINE, _CAST = 1, 0
"""Streams of random numbers: what happens, and how the line carries it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a seed and an index stand for."""

    scene: Scene
    line_dice: tuple[int, int, int]

    def dice(self) -> Dice:
        """Fresh dice for the line: the same call gets the same losses each time."""
        return np.random.default_rng(self.line_dice)


def draft(
    stock: Stock, met: Timetable, seed: int, index: int, *, has_mobile: bool = True
) -> Draft:
    """Lay out one call; `has_mobile`: codecs of mobile phones are there.

    Raises CorpusError if the corpus lacks what it needs.
    """
    dice = np.random.default_rng((seed, index, _CAST))
    play = Play(stock, met, dice)
    scene = _scene(play, seed, index)
    line = drawn_line(scene.line, dice, has_mobile=has_mobile)
    return Draft(with_line(scene, line), (seed, index, _LINE))


def is_person(index: int) -> bool:
    """Whether that call is one of the people."""
    return index % ROUND < PEOPLE


def drawn_line(line: Line, dice: Dice, *, has_mobile: bool) -> Line:
    """Codec and losses for a call; gaps stay as the scene wants them."""
    loss = 0.0 if dice.random() < 0.4 else float(dice.uniform(0, 0.05))
    is_mobile = dice.random() < MOBILE_SHARE
    codec = MOBILE[int(dice.integers(len(MOBILE)))] if is_mobile else ""
    return Line(
        law="alaw" if dice.random() < 0.7 else "ulaw",
        codec=codec if has_mobile else "",
        is_dtx=bool(dice.random() < 0.5),
        loss=loss,
        burst_frames=float(dice.choice([1.0, 1.0, 2.0, 4.0])),
        is_concealed=bool(dice.random() < 0.5),
        gap_from_seconds=line.gap_from_seconds,
        gap_seconds=line.gap_seconds,
    )


def _scene(play: Play, seed: int, index: int) -> Scene:
    turn, slot = divmod(index, ROUND)
    by_label = play.stock.by_label
    if slot < PEOPLE:
        return BEHAVIOURS[(turn * PEOPLE + slot) % len(BEHAVIOURS)](play)
    if slot < PEOPLE + GHOSTS:
        nth = turn * GHOSTS + slot - PEOPLE
        take = _in_turn(by_label["ghost"], seed, nth)
        return (
            own_echo(play, take.kind)
            if take.kind == PROMPT_ECHO
            else goes_on(play, take)
        )
    if slot == PEOPLE + GHOSTS and by_label["distant"]:
        return goes_on(play, _in_turn(by_label["distant"], seed, turn))
    if slot == PEOPLE + GHOSTS + 1 and by_label["ambiguous"]:
        return goes_on(play, _in_turn(by_label["ambiguous"], seed, turn))
    match turn % 4:
        case 0:
            return no_media(play)
        case 1:
            return media_gap(play, any_of(by_label["ghost"], play))
        case _:
            return own_echo(play, OWN_ECHO)


def _in_turn(takes: Sequence[Take], seed: int, nth: int) -> Take:
    """Every take once in a shuffled order, then again in another."""
    if not takes:
        raise CorpusError("no clip is labelled ghost; whole calls need pockets")
    turn, place = divmod(nth, len(takes))
    order = np.random.default_rng((seed, len(takes), turn)).permutation(len(takes))
    return takes[int(order[place])]
