"""Calls with nobody near the phone, and calls whose audio fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pbx.laboratory.dialogue import sounds
from pbx.laboratory.dialogue.line import Line
from pbx.laboratory.dialogue.people import Play
from pbx.laboratory.dialogue.scene import Scene
from pbx.laboratory.dialogue.sounds import gain
from pbx.laboratory.dialogue.stock import Take

POCKET_MIX = frozenset(
    {
        "digital_silence",
        "comfort_noise",
        "room_silence",
        "line_hum",
        "rustle",
        "walking",
        "traffic",
        "engine",
        "engine_idling",
        "air_conditioner",
        "wind",
        "vehicle",
        "prompt_echo",
        "key_beep",
        "ringback",
        "fax",
        "modem",
    }
)
"""The ghosts that a city meets; the stress mix is every clip labelled ghost."""
OWN_ECHO = "own_echo"
"""Our own prompt comes back from a phone with nobody there."""
_LEVELLED = frozenset({"digital_silence", "comfort_noise"})
"""Classes that are their level."""


def goes_on(play: Play, take: Take) -> Scene:
    """What the clip has, for the whole call: a pocket, a street, a far-off voice."""
    sound = play.stock.continued(take, play.seconds, play.dice)
    if take.kind not in _LEVELLED:
        sound = sound * gain(play.between(-6, 6))
    names = {"ghost": "a pocket goes on", "distant": "voices far off go on"}
    behaviour = names.get(take.label, "something unclear goes on")
    return Scene(
        behaviour,
        take.kind,
        take.label,
        (take.name,),
        sound,
        is_coded=take.is_coded,
    )


def own_echo(play: Play, kind: str) -> Scene:
    """Nobody, a loudspeaker, and a room; in place of clips with a foreign prompt."""
    bed = sounds.noise(play.dice, play.seconds, play.between(-75, -55))
    echo = play.echo(-40, -10)
    return Scene("our prompt comes back", kind, "ghost", (), bed, echo=echo)


def no_media(play: Play) -> Scene:
    """Not one frame."""
    line = Line(gap_from_seconds=0.0, gap_seconds=play.seconds + 1)
    sound = sounds.silence(play.seconds)
    return Scene("no media", "no-media", "fault", (), sound, line=line)


def media_gap(play: Play, take: Take) -> Scene:
    """A pocket whose media stops, perhaps comes again: more than a fifth is gone."""
    gap = play.between(0.3, 0.9) * play.met.seconds
    line = Line(
        gap_from_seconds=play.between(0, play.met.seconds - gap), gap_seconds=gap
    )
    scene = goes_on(play, take)
    return replace(scene, behaviour="media with a gap", label="fault", line=line)


def any_of(takes: Sequence[Take], play: Play) -> Take:
    """One of them, at random."""
    return takes[int(play.dice.integers(len(takes)))]
