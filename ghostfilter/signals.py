"""What can be heard on a line, in words. The ghost filter's parts share them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

FRAME_SECONDS = 0.02
"""20 ms, 160 samples: what telephony and AudioSocket deliver."""


class Sound(StrEnum):
    """Kinds of sound. The first nine speak for a person."""

    NEAR_VOICE = "near-voice"
    """Speech, a shout, a child: somebody near the phone."""
    WHISPER = "whisper"
    CRY = "cry"
    """Crying, a scream, a baby: no words, and somebody all the same."""
    KNOCKS = "knocks"
    """Two or more knocks, taps or coughs."""
    KEY_TONE = "key-tone"
    """DTMF in the audio: a key whose RFC 4733 event got lost."""
    TTY = "tty"
    """A text telephone (Baudot, 1400/1800 Hz): a deaf caller."""
    LOUD = "loud"
    """A loud sound that goes on: an alarm, a horn held down."""
    ANSWER = "answer"
    """Any sound at all, in a line that was still until we asked."""
    LONE = "lone-sound"
    """Any sound at all that stands alone in the call."""
    DISTANT_VOICE = "distant-voice"
    """Voices, but nobody near: babble, television, announcements."""
    ECHO = "prompt-echo"
    """Our own prompt coming back."""
    FAX = "fax"
    """Fax or modem tones (T.30 CNG 1100 Hz, CED 2100 Hz, V.21 …)."""
    NETWORK_TONE = "network-tone"
    """Ring-back, busy, congestion, special information tones: a machine."""
    NOISE = "noise"
    COMFORT_NOISE = "comfort-noise"
    SILENCE = "silence"


PERSON = frozenset(
    {
        Sound.NEAR_VOICE,
        Sound.WHISPER,
        Sound.CRY,
        Sound.KNOCKS,
        Sound.KEY_TONE,
        Sound.TTY,
        Sound.LOUD,
        Sound.ANSWER,
        Sound.LONE,
    }
)
"""Sounds that speak for a person."""
MACHINES = frozenset({Sound.FAX, Sound.NETWORK_TONE})
"""Sounds that no person makes."""
_POCKETS_TOO = frozenset({Sound.KNOCKS, Sound.LOUD, Sound.LONE})
"""What pockets make as well …"""
SIGN = 0.5
"""… is a sign from this confidence on; below it is a hint, which in a whole call is
doubt as well (`ghostfilter.verdict`)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One kind of sound in one call, at its clearest."""

    sound: Sound
    from_frame: int
    """Where it began, in frames of 20 ms since the first."""
    frames: int
    """How long it was heard in all, in frames."""
    dbfs: float
    """Its mean level."""
    over_floor_db: float
    """How far that stands above the line's own floor."""
    confidence: float
    """0…1."""
    detail: str = ""
    """What else is worth a word: the key pressed, the tone's frequency."""

    @property
    def is_hint(self) -> bool:
        """Whether it may be a person's, but is as well made by pockets."""
        return self.sound in _POCKETS_TOO and self.confidence < SIGN

    @property
    def is_sign(self) -> bool:
        """Whether it speaks for a person so clearly that he is never released."""
        return self.sound in PERSON and not self.is_hint
