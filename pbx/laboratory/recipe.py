"""Training clips by the thousand: who is heard, before what noise, down which line.

`make_clips` draws the classes in shares that lean towards what is hard (whisper, short
words, screams, cries; music, dogs, sirens), so that a rare source is not lost among
10,000 spoken letters. Same seed, same pieces: same clips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pbx.laboratory.cache import Piece
from pbx.laboratory.codecs import Pcm
from pbx.laboratory.cries import CRIES
from pbx.laboratory.degrade import Line, draw_frames, draw_line, fill, place, send
from pbx.laboratory.pockets_made import POCKETS_MADE, interrupted
from pbx.laboratory.synthetic import SYNTHETIC
from pbx.laboratory.transforms import (
    FRAME,
    RATE_HZ,
    Sound,
    at_level,
    babble,
    far_away,
    frame_power,
    handsfree,
    shifted,
    to_pcm,
    to_sound,
    whisper,
)

LABEL_SHARES = {"speech": 0.47, "ghost": 0.40, "distant": 0.10, "ambiguous": 0.03}
VOICE_SHARES = {
    "plain": 0.52,
    "whisper": 0.13,
    "child": 0.10,
    "handsfree": 0.12,
    "twice": 0.08,
    "shouted": 0.05,
}
VOICE_DBFS, LOUD_DBFS, QUIET_DBFS = (-45.0, -10.0), (-26.0, -8.0), (-45.0, -26.0)
GHOST_DBFS, FAR_DBFS = (-58.0, -10.0), (-55.0, -22.0)
STYLE_DBFS = {"whisper": QUIET_DBFS, "handsfree": QUIET_DBFS, "shouted": LOUD_DBFS}
"""Active levels, as the corpus has them."""
DISTANT_SHARES = {"babble": 0.35, "room": 0.4, "tv": 0.25}
CRY_SHARE = 0.09
"""Speech that is a cry, scream, sob, laugh or cough made by rule."""
RULE_SHARE = 0.5
"""Ghosts made by rule; the others are recordings."""
RULE_SHARES = {
    "rustle": 3.0,
    "strokes": 3.0,
    "handling": 4.0,
    "fan": 2.0,
    "idling": 2.0,
    "walking": 2.0,
    "dog_bark": 2.0,
    "passing": 1.5,
    "bell": 1.5,
}
"""What pockets do most is drawn more often than the other rules, which count 1."""
NOISY_SHARE = 0.6
"""Speech before a noise …"""
NOISE_SHARES = {20.0: 0.17, 15.0: 0.2, 10.0: 0.2, 5.0: 0.18, 0.0: 0.14, -5.0: 0.11}
"""… so many dB below it. The hard ones are drawn more often than calls bring them."""
SILENCE_SHARE = 0.3
INTERRUPTED_SHARE = 0.3
"""Ghosts that begin, end, or change their level on the way."""
ECHO_SHARE = 0.27
"""Clips in which our own prompt comes back …"""
ALONE_SHARE = 0.55
"""… ghosts of these in which nothing else is heard."""
MISSING_SHARE = 0.15
"""Clips that lost packets on the trunk: their frames do not come at all …"""
MISSING = (0.003, 0.06)
"""… so many of them."""
AT_ONCE_SHARE = 0.25
"""Clips without their beginning: many speak before the line was ever still …"""
SOON_FRAMES = 20
"""… within so many frames of the first; others' clips lose …"""
CUT_FRAMES = 60
"""… at most so many, so that a cut tells nothing."""
ACTIVE_DB = 32.0
"""A frame is spoken that is no further than this below the loudest …"""
MASKED_DB = -3.0
"""… unless the noise buries it: then nobody can know."""
UNSURE_FRAMES = 10
"""Around spoken frames nothing is claimed."""
POWER = 0.4
"""Classes and sources are drawn with their number of pieces to this power."""


NOBODY, SOMEBODY, UNKNOWN = 0, 1, 2
_Sample = TypeVar("_Sample", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip as the telephone brings it, and what is known of it."""

    pcm: Pcm
    label: str
    kind: str
    """The class: the piece's, or what was made of it (whisper, handsfree, babble…)."""
    sources: tuple[str, ...]
    """Sources of every sound in it, the noise's too."""
    overlaps: tuple[str, ...]
    """Sources of the corpus that hold any of these sounds."""
    group: str
    line: Line
    active_from: int
    """First 20 ms frame of the wanted sound (ghosts: 0)."""
    active_to: int
    """Frame after its last."""
    near: NDArray[np.uint8]
    """(frames,) NOBODY, SOMEBODY or UNKNOWN near the phone, for each frame."""
    prompt: Pcm | None
    """What we send meanwhile, from the first frame on; None: nothing."""


class Shelf:
    """The pieces by label and class, drawn source by source within a class."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        avoid: frozenset[str],
        *,
        has_pockets: bool = True,
    ) -> None:
        """`avoid` names sources of the corpus that a fold is tested on.

        `has_pockets`: the sounds of pockets_made.py, interruptions and lost packets,
        too.
        """
        self.has_pockets = has_pockets
        self.rules = _RULED if has_pockets else _PLAIN
        self._shelf: dict[str, dict[str, dict[str, list[Piece]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for piece in pieces:
            if avoid.isdisjoint(piece.entry.overlaps.split()):
                kinds = self._shelf[piece.entry.label]
                kinds[piece.entry.kind][piece.entry.source].append(piece)
        self._weights: dict[str, dict[str, float]] = {}
        for label, kinds in self._shelf.items():
            self._weights[label] = {}
            for kind, sources in kinds.items():
                weights = {one: len(some) ** POWER for one, some in sources.items()}
                self._weights[f"{label} {kind}"] = weights
                count = sum(len(some) for some in sources.values())
                self._weights[label][kind] = count**POWER

    def __contains__(self, label: str) -> bool:
        return label in self._shelf

    def draw(self, label: str, rng: np.random.Generator, kind: str = "") -> Piece:
        """A piece: its class first, then its source, then any of it."""
        kinds = self._shelf[label]
        kind = kind or _drawn(rng, self._weights[label])
        source = _drawn(rng, self._weights[f"{label} {kind}"])
        some = kinds[kind][source]
        return some[int(rng.integers(len(some)))]


def _drawn(rng: np.random.Generator, shares: dict[str, float]) -> str:
    left = rng.random() * sum(shares.values())
    for name, share in shares.items():
        left -= share
        if left < 0:
            return name
    return next(reversed(shares))


@dataclass(frozen=True, slots=True)
class _Scene:
    """What the microphone gets, before the line."""

    sound: Sound
    label: str
    kind: str
    pieces: tuple[Piece, ...]
    active: tuple[int, int]
    level_dbfs: tuple[float, float] = (-45.0, -10.0)


def make_clips(
    pieces: Sequence[Piece],
    count: int,
    seed: int,
    *,
    avoid: frozenset[str] = frozenset(),
    prompts: Sequence[Pcm] = (),
    has_pockets: bool = True,
) -> Iterator[Clip]:
    """`count` clips, drawn by `seed`; nothing that overlaps a source in `avoid`.

    Two nets that learned the one with, the other without `has_pockets` err
    differently, so that their mean errs less.

    `prompts` (8 kHz) leak into some, and alone they are the ghost `prompt_echo`.
    Raises CodecError where a codec is missing.
    """
    rng = np.random.default_rng(seed)
    shelf = Shelf(pieces, avoid, has_pockets=has_pockets)
    for _ in range(count):
        yield make_clip(shelf, rng, prompts)


def make_clip(
    shelf: Shelf, rng: np.random.Generator, prompts: Sequence[Pcm] = ()
) -> Clip:
    """One clip of a class drawn by the shares above."""
    scene = _MAKERS[_drawn(rng, LABEL_SHARES)](shelf, rng, draw_frames(rng))
    frames = len(scene.sound) // FRAME
    line = _draw_line(scene, rng)
    noise = None
    if line.snr_db is not None:
        noise, scene = _noise(shelf, rng, scene)
        noise = to_pcm(fill([to_sound(noise)], frames, rng))
    prompt = None
    if prompts and rng.random() < ECHO_SHARE:
        prompt = np.resize(prompts[int(rng.integers(len(prompts)))], frames * FRAME)
        scene, line = _with_echo(scene, line, rng)
    pcm = send(scene.sound, rng, line=line, noise=noise, prompt=prompt)
    near = _who_is_near(scene, line, noise)
    begin, end = scene.active
    if prompt is None:
        frames = len(near)
        pcm, near = at_once(pcm, near, rng)
        cut = frames - len(near)
        begin, end = max(0, begin - cut), max(1, end - cut)
    if shelf.has_pockets:
        pcm, near = packets_missing(pcm, near, rng)
    return Clip(
        pcm=pcm,
        label=scene.label,
        kind=scene.kind,
        sources=tuple(sorted({piece.entry.source for piece in scene.pieces})),
        overlaps=tuple(
            sorted({one for p in scene.pieces for one in p.entry.overlaps.split()})
        ),
        group=scene.pieces[0].entry.group if scene.pieces else "synthetic",
        line=line,
        active_from=min(begin, len(near) - 1),
        active_to=min(end, len(near)),
        near=near,
        prompt=prompt,
    )


def at_once(
    pcm: NDArray[_Sample], near: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[_Sample], NDArray[np.uint8]]:
    """A clip, and who is near in each frame; some without their beginning."""
    if rng.random() >= AT_ONCE_SHARE:
        return pcm, near
    somebody = np.flatnonzero(near == SOMEBODY)
    if somebody.size:
        cut = max(0, int(somebody[0]) - int(rng.integers(SOON_FRAMES)))
    else:
        cut = int(rng.integers(CUT_FRAMES))
    return pcm[cut * FRAME :], near[cut:]


def packets_missing(
    pcm: Pcm, near: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Pcm, NDArray[np.uint8]]:
    """A clip, and who is near in each frame, without those the trunk lost, if any."""
    if rng.random() >= MISSING_SHARE:
        return pcm, near
    came = rng.random(len(near)) >= rng.uniform(*MISSING)
    return pcm.reshape(-1, FRAME)[came].ravel(), near[came]


def _draw_line(scene: _Scene, rng: np.random.Generator) -> Line:
    level = float(rng.uniform(*scene.level_dbfs))
    line = replace(draw_line(rng), level_dbfs=level, echo_dbfs=None)
    if scene.label != "speech":
        return line
    snr = None
    if rng.random() < NOISY_SHARE:
        shares = {str(db): share for db, share in NOISE_SHARES.items()}
        snr = float(_drawn(rng, shares))
    return replace(line, snr_db=snr)


def _with_echo(
    scene: _Scene, line: Line, rng: np.random.Generator
) -> tuple[_Scene, Line]:
    if scene.label != "ghost" or rng.random() >= ALONE_SHARE:
        return scene, replace(line, echo_dbfs=float(rng.uniform(-64, -30)))
    still = replace(scene, sound=np.zeros_like(scene.sound), kind="prompt_echo")
    return still, replace(line, snr_db=None, echo_dbfs=float(rng.uniform(-55, -26)))


def _who_is_near(scene: _Scene, line: Line, noise: Pcm | None) -> NDArray[np.uint8]:
    """(frames,) who is near the phone, as far as it can be known."""
    power = frame_power(at_level(scene.sound, line.level_dbfs))
    near = np.full(len(power), NOBODY, np.uint8)
    if scene.label != "speech":
        return near
    spoken = power > power.max() * 10 ** (-ACTIVE_DB / 10)
    around = np.convolve(spoken, np.ones(2 * UNSURE_FRAMES + 1), "same") > 0
    near[around] = UNKNOWN
    if noise is not None and line.snr_db is not None:
        behind = at_level(to_sound(noise), line.level_dbfs - line.snr_db)
        spoken &= power > frame_power(behind)[: len(power)] * 10 ** (MASKED_DB / 10)
    near[spoken] = SOMEBODY
    return near


def _noise(shelf: Shelf, rng: np.random.Generator, scene: _Scene) -> tuple[Pcm, _Scene]:
    if rng.random() < 0.35:
        maker = RULES[_drawn(rng, dict.fromkeys(shelf.rules, 1.0))]
        return _as_pcm(maker(len(scene.sound), rng)), scene
    piece = shelf.draw("ghost", rng)
    return piece.pcm, replace(scene, pieces=(*scene.pieces, piece))


def _as_pcm(sound: Sound) -> Pcm:
    peak = float(np.max(np.abs(sound), initial=1e-9))
    return np.asarray(sound / peak * 30_000, dtype=np.int16)


RULES = {**SYNTHETIC, **POCKETS_MADE}
_PLAIN = tuple(kind for kind in SYNTHETIC if kind not in {"bump", "digital_silence"})
_RULED = tuple(kind for kind in RULES if kind not in {"bump", "digital_silence"})


def _speech(shelf: Shelf, rng: np.random.Generator, frames: int) -> _Scene:
    if rng.random() < CRY_SHARE:
        kind = _drawn(rng, dict.fromkeys(CRIES, 1.0))
        placed = place(CRIES[kind](rng), frames, None, rng)
        level = LOUD_DBFS if kind == "scream" else VOICE_DBFS
        return _Scene(placed, "speech", kind, (), _active(placed), level)
    piece = shelf.draw("speech", rng)
    style = _drawn(rng, VOICE_SHARES)
    sound, kind, voices = to_sound(piece.pcm), piece.entry.kind, (piece,)
    if style == "whisper":
        sound, kind = whisper(sound, rng), "whisper_lpc"
    elif style == "child":
        sound, kind = shifted(sound, float(rng.uniform(1.2, 1.65))), "child_shift"
    elif style == "handsfree":
        sound, kind = handsfree(sound, rng), "handsfree"
    elif style == "twice" and len(sound) < 2 * RATE_HZ:
        pause = np.zeros(int(rng.uniform(0.2, 1.8) * RATE_HZ))
        sound = np.concatenate([sound, pause, sound])
    elif rng.random() < 0.3:
        sound = shifted(sound, float(rng.uniform(0.88, 1.12)))
    placed = place(sound, frames, None, rng)
    level = STYLE_DBFS.get(style, VOICE_DBFS)
    return _Scene(placed, "speech", kind, voices, _active(placed), level)


def _active(sound: Sound) -> tuple[int, int]:
    heard = np.flatnonzero(sound)
    if not len(heard):
        return 0, 0
    return int(heard[0]) // FRAME, int(heard[-1]) // FRAME + 1


def _ghost(shelf: Shelf, rng: np.random.Generator, frames: int) -> _Scene:
    is_new = shelf.has_pockets and rng.random() < INTERRUPTED_SHARE
    if rng.random() < RULE_SHARE:
        shares = {kind: RULE_SHARES.get(kind, 1.0) for kind in shelf.rules}
        kind = _drawn(rng, shares | {"digital_silence": SILENCE_SHARE})
        sound = RULES[kind](frames * FRAME, rng)
        if is_new:
            sound = interrupted(sound, rng)
        return _Scene(sound, "ghost", kind, (), (0, frames), GHOST_DBFS)
    piece = shelf.draw("ghost", rng)
    sound = fill([to_sound(piece.pcm)], frames, rng)
    if rng.random() < 0.3:
        speed = float(rng.uniform(0.8, 1.25))
        longer = fill([to_sound(piece.pcm)], int(frames * speed) + 2, rng)
        sound = shifted(longer, speed)[: frames * FRAME]
    if is_new:
        sound = interrupted(sound, rng)
    kind = piece.entry.kind
    return _Scene(sound, "ghost", kind, (piece,), (0, frames), GHOST_DBFS)


def _distant(shelf: Shelf, rng: np.random.Generator, frames: int) -> _Scene:
    style = _drawn(rng, DISTANT_SHARES)
    room = frames * FRAME
    if style == "babble":
        voices = tuple(
            shelf.draw("speech", rng, "utterance") for _ in range(rng.integers(3, 9))
        )
        sound = babble([to_sound(piece.pcm) for piece in voices], room, rng)
        far = far_away(sound, rng)[:room]
        return _Scene(far, "distant", "babble_mix", voices, (0, frames), FAR_DBFS)
    is_recorded = "distant" in shelf and rng.random() < 0.4
    label = "distant" if is_recorded else "speech"
    voice = shelf.draw(label, rng, "" if label == "distant" else "utterance")
    sound = fill([to_sound(voice.pcm)], frames, rng)
    if style == "room":
        far = far_away(sound, rng)[:room]
        kind = "announcement"
        return _Scene(far, "distant", kind, (voice,), (0, frames), FAR_DBFS)
    music = shelf.draw("ghost", rng, "music")
    behind = fill([to_sound(music.pcm)], frames, rng)
    behind = at_level(behind, float(rng.uniform(-40, -22)))
    mixed = at_level(sound, -26) + (behind if rng.random() < 0.6 else 0)
    far = far_away(mixed, rng)[:room]
    return _Scene(far, "distant", "tv_speech", (voice, music), (0, frames), FAR_DBFS)


def _ambiguous(shelf: Shelf, rng: np.random.Generator, frames: int) -> _Scene:
    del shelf
    sound = RULES["bump"](frames * FRAME, rng)
    return _Scene(sound, "ambiguous", "bump", (), (0, frames), GHOST_DBFS)


_MAKERS: dict[str, Callable[[Shelf, np.random.Generator, int], _Scene]] = {
    "speech": _speech,
    "ghost": _ghost,
    "distant": _distant,
    "ambiguous": _ambiguous,
}
