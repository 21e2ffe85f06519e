"""What people do when nobody seems to hear them. One function a behaviour.

Each lays its person into a call and says when the first sign of life comes. A person
does at least once what makes him known: no behaviour here is one that a human listening
to the whole call could not notice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pbx.laboratory.dialogue import sounds
from pbx.laboratory.dialogue.house import Timetable
from pbx.laboratory.dialogue.line import Line
from pbx.laboratory.dialogue.scene import Echo, Scene
from pbx.laboratory.dialogue.sounds import RATE, Dice, Samples, gain
from pbx.laboratory.dialogue.stock import Stock, Take, level_change, placed

LOWEST_DBFS, HIGHEST_DBFS = -45.0, -9.0
"""The levels of people in telephone calls; the corpus has no others."""
CRIES = ("baby_cry", "child_laugh", "scream", "sad")
SHOUTS = ("anger_shout", "fear", "game_shout", "scream")
SHORT = ("very_short", "short_word")
WHISPERS = ("whisper_lpc",)
HANDSFREE = ("handsfree",)
BUMPS = ("bump_real",)
KNOCK_KINDS = ("knock", "cough", "bump_real")


class Play:
    """What a behaviour needs to lay out its call."""

    def __init__(self, stock: Stock, met: Timetable, dice: Dice) -> None:
        self.stock = stock
        self.met = met
        self.dice = dice
        self.greeting, self.second = met.said[0], met.said[-1]
        self.seconds = met.seconds + 1.0

    def between(self, low: float, high: float) -> float:
        """A moment or an amount."""
        return float(self.dice.uniform(low, max(low, high)))

    def one_of(self, things: tuple[str, ...]) -> str:
        """Any of them."""
        return things[int(self.dice.integers(len(things)))]

    def latest(self, take: Take) -> float:
        """The last moment at which this person can begin and be heard to his end."""
        after = max(take.needs_seconds - take.lead_seconds, 0.5)
        return self.met.seconds - after - 0.3

    def speaks(self, behaviour: str, take: Take, *moments: float) -> Scene:
        """A person who says this at each of these moments."""
        factor = gain(level_change(take, self.dice, LOWEST_DBFS, HIGHEST_DBFS))
        bed = take.bed(self.seconds, self.dice) * factor
        if take.is_clean and self.dice.random() < 0.4:
            snr = self.between(0, 20)
            level = take.level_dbfs + 20 * float(np.log10(factor))
            back = self.stock.background(self.seconds, self.dice)
            bed += sounds.at_level(back, level - snr)
            for at in moments:
                placed_over(take, at, bed, factor)
        else:
            for at in moments:
                placed(take, at, bed, factor)
        return Scene(
            behaviour,
            take.kind,
            "speech",
            (take.name,),
            bed,
            sign_seconds=min(moments) + take.late_seconds,
            words=tuple(words(take, at) for at in moments),
            is_coded=take.is_coded,
        )

    def made(self, behaviour: str, kind: str, sound: Samples, at: float) -> Scene:
        """A person who makes this sound, wherever he is."""
        bed = self.surroundings(sounds.rms_dbfs(sound))
        sounds.add(sound, at, bed)
        return Scene(behaviour, kind, "speech", (), bed, sign_seconds=at)

    def surroundings(self, level_dbfs: float) -> Samples:
        """A quiet room, or somewhere noisy that leaves a sound of that level clear."""
        if self.dice.random() < 0.5:
            return sounds.noise(self.dice, self.seconds, self.between(-72, -55))
        back = self.stock.background(self.seconds, self.dice)
        return sounds.at_level(back, min(level_dbfs - self.between(10, 25), -25.0))

    def echo(self, low_db: float, high_db: float) -> Echo:
        """A speakerphone, somewhere."""
        return Echo(
            self.between(0.02, 0.5),
            self.between(low_db, high_db),
            sounds.room(self.dice),
        )


def words(take: Take, at: float) -> tuple[float, float]:
    """From when to when this utterance is to be heard, begun at that moment."""
    return at + take.late_seconds, at - take.lead_seconds + take.needs_seconds


def placed_over(take: Take, at: float, bed: Samples, factor: np.float32) -> None:
    """Mix an utterance into somebody else's noise."""
    start = max(0.0, at - take.lead_seconds)
    skipped = round(max(0.0, take.lead_seconds - at) * RATE)
    sounds.add(sounds.faded(take.utterance[skipped:] * factor), start, bed)


def speaks_once(play: Play) -> Scene:
    """Anybody, at any moment, one time."""
    take = play.stock.speakers(play.stock.speech_kinds(), play.dice)
    return play.speaks("speaks once", take, play.between(0.2, play.latest(take)))


def speaks_at_once(play: Play) -> Scene:
    """As the line opens, before it was ever still, and only then."""
    take = play.stock.speakers(play.stock.speech_kinds(), play.dice)
    at = play.between(0.0, 0.3) - take.late_seconds
    return play.speaks("speaks at once, as the line opens", take, at)


def speaks_again(play: Play) -> Scene:
    """At the greeting, and again when the second prompt asks."""
    take = play.stock.speakers(play.stock.speech_kinds(), play.dice)
    first = play.between(0.3, play.greeting.ended + 1.5)
    again = min(play.second.ended + play.between(0.2, 1.5), play.latest(take))
    return play.speaks("speaks again after the prompt", take, first, again)


def answers_second(play: Play) -> Scene:
    """Says nothing until the second prompt has asked."""
    take = play.stock.speakers(play.stock.speech_kinds(), play.dice)
    at = min(play.second.ended + play.between(0.1, 2.5), play.latest(take))
    return play.speaks("answers the second prompt only", take, at)


def speaks_over(play: Play) -> Scene:
    """While the greeting plays."""
    take = play.stock.speakers(play.stock.speech_kinds(), play.dice)
    at = play.between(0.2, play.greeting.ended - 0.3)
    return play.speaks("speaks over the greeting", take, at)


def shouts_once(play: Play) -> Scene:
    """At second 0.5 to 2.5, and then no more."""
    take = play.stock.speakers(SHOUTS, play.dice)
    return play.speaks("shouts once, early", take, play.between(0.5, 2.5))


def whispers(play: Play) -> Scene:
    """Twice, the second time when asked."""
    take = play.stock.speakers(WHISPERS, play.dice)
    first = play.between(0.5, play.greeting.ended + 2.0)
    again = min(play.second.ended + play.between(0.2, 1.5), play.latest(take))
    return play.speaks("whispers twice", take, first, again)


def cries(play: Play) -> Scene:
    """On and off, from some moment on."""
    take = play.stock.speakers(CRIES, play.dice)
    at = play.between(0.2, play.greeting.ended + 2.0)
    moments = [at]
    while at + take.needs_seconds + 0.5 < play.latest(take):
        at += take.needs_seconds + play.between(0.5, 3.0)
        moments.append(min(at, play.latest(take)))
    return play.speaks("cries", take, *moments)


def one_short_word(play: Play) -> Scene:
    """One word such as "ya" or "api", once."""
    take = play.stock.speakers(SHORT, play.dice)
    prompt = play.greeting if play.dice.random() < 0.5 else play.second
    at = min(prompt.ended + play.between(0.1, 2.0), play.latest(take))
    return play.speaks("says one short word", take, at)


def hands_free(play: Play) -> Scene:
    """Across the room, and our prompt comes back from there."""
    take = play.stock.speakers(HANDSFREE, play.dice)
    scene = play.speaks("talks hands-free", take, play.between(0.3, play.latest(take)))
    return replace(scene, echo=play.echo(-35, -15))


def echo_and_person(play: Play) -> Scene:
    """Our prompt comes back, loud or faint, and somebody speaks when he likes."""
    take = play.stock.speakers(play.stock.speech_kinds(), play.dice)
    at = play.between(0.3, play.latest(take))
    scene = play.speaks("speaks, and our prompt comes back", take, at)
    return replace(scene, echo=play.echo(-40, -10))


def over_echo(play: Play) -> Scene:
    """Speaks while our prompt plays and comes back at −20 dB: the issue's own case."""
    take = play.stock.speakers(play.stock.speech_kinds(), play.dice)
    prompt = play.greeting if play.dice.random() < 0.7 else play.second
    at = play.between(prompt.from_seconds + 0.3, prompt.ended - 0.5)
    scene = play.speaks("speaks over the prompt, echo −20 dB", take, at)
    return replace(scene, echo=play.echo(-20, -20))


def out_of_noise(play: Play) -> Scene:
    """Noise as a pocket makes it, then somebody takes the phone and speaks."""
    take = play.stock.speakers(play.stock.speech_kinds(), play.dice)
    factor = gain(level_change(take, play.dice, LOWEST_DBFS + 5, HIGHEST_DBFS))
    level = take.level_dbfs + 20 * float(np.log10(factor))
    back = play.stock.background(play.seconds, play.dice)
    snr = play.between(3, 20) if take.is_clean else play.between(15, 25)
    bed = sounds.at_level(back, level - snr)
    at = play.between(play.greeting.ended, play.latest(take))
    placed_over(take, at, bed, factor)
    return Scene(
        "speaks out of noise",
        take.kind,
        "speech",
        (take.name,),
        bed,
        sign_seconds=at + take.late_seconds,
        words=(words(take, at),),
        is_coded=take.is_coded,
    )


def presses_late(play: Play) -> Scene:
    """Any key, as an event, at any moment until the last."""
    bed = play.surroundings(-40.0)
    at = play.between(0.2, play.met.seconds - 0.1)
    key = play.one_of(tuple("0123456789*#"))
    return Scene(
        "presses a key", "key", "speech", (), bed, sign_seconds=at, key=(at, key)
    )


def presses_unheard(play: Play) -> Scene:
    """A key whose event got lost: only its tone comes, and sometimes twice."""
    key = play.one_of(tuple("0123456789*#"))
    tone = sounds.key_tone(
        key, play.between(0.065, 0.3), play.between(-28, -8), play.between(-4, 4)
    )
    at = play.between(0.2, play.met.seconds - 0.6)
    scene = play.made("presses, the event lost", "key-tone", sounds.faded(tone), at)
    return replace(scene, is_coded=True)


def knocks(play: Play) -> Scene:
    """Knocks or coughs, two to four times, as the second prompt asks."""
    has_bumps = bool(play.stock.by_kind.get(BUMPS[0]))
    kind = play.one_of(KNOCK_KINDS if has_bumps else KNOCK_KINDS[:2])
    count = int(play.dice.integers(2, 5))
    peak = play.between(-22, -6)
    if kind == "knock":
        sound = sounds.knocks(play.dice, count, peak)
    elif kind == "cough":
        sound = sounds.coughs(play.dice, count, peak)
    else:
        sound = _bumps(play, count, peak)
    at = play.second.ended + play.between(-1.0, 1.2)
    return play.made("knocks or coughs twice", kind, sound, at)


def types(play: Play) -> Scene:
    """A text telephone: a deaf caller."""
    characters = int(play.dice.integers(6, 20))
    sound = sounds.tty(play.dice, characters, play.between(-32, -12))
    latest = play.met.seconds - sound.size / RATE - 0.2
    at = play.between(0.3, latest)
    scene = play.made("types on a text telephone", "tty", sound, at)
    return replace(scene, is_coded=True)


def speaks_before_gap(play: Play) -> Scene:
    """Says something, and then the media stops for some seconds."""
    scene = speaks_once(play)
    assert scene.sign_seconds is not None  # noqa: S101 - he speaks
    gap = min(scene.sign_seconds + 2.5, play.met.seconds - 1.0)
    line = Line(gap_from_seconds=gap, gap_seconds=play.between(1.0, 6.0))
    return replace(scene, behaviour="speaks, then a gap in the media", line=line)


def _bumps(play: Play, count: int, peak_dbfs: float) -> Samples:
    """The loudest moment of a recorded bump, `count` times."""
    take = play.stock.speakers(BUMPS, play.dice)
    loudest = int(np.argmax(np.abs(take.samples)))
    start = max(0, loudest - 800)
    bump = sounds.faded(take.samples[start : loudest + 2400])
    bump = bump * (gain(peak_dbfs) / max(float(np.abs(bump).max()), 1e-4))
    out = sounds.silence(0.9 * count)
    at = 0.0
    for _ in range(count):
        sounds.add(bump, at, out)
        at += play.between(0.45, 0.9)
    return out


BEHAVIOURS: tuple[Callable[[Play], Scene], ...] = (
    speaks_once,
    speaks_at_once,
    speaks_again,
    answers_second,
    speaks_over,
    shouts_once,
    whispers,
    cries,
    one_short_word,
    hands_free,
    echo_and_person,
    over_echo,
    out_of_noise,
    presses_late,
    presses_unheard,
    knocks,
    types,
    speaks_before_gap,
)
