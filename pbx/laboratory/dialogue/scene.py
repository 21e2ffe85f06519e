"""A call before it is played: who is there, what he does, and when."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pbx.laboratory.dialogue.house import House, Timetable
from pbx.laboratory.dialogue.line import Line, coded, travel
from pbx.laboratory.dialogue.sounds import Dice, Samples, echoed


@dataclass(frozen=True, slots=True)
class Echo:
    """Our own voice, out of the phone's loudspeaker into its microphone."""

    delay_seconds: float
    db: float
    """Relative to what we send; negative."""
    response: Samples = field(repr=False)
    codec: str = ""
    """The mobile phone's codec on its way back, where the rest has been coded."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything of one call but our own part."""

    behaviour: str
    kind: str
    """The class of the clip, or of the made sound."""
    label: str
    """`speech`: a person is there; `ghost`, `distant`, `ambiguous`; `fault`: no
    release is allowed, whoever is there."""
    clips: tuple[str, ...]
    sound: Samples = field(repr=False)
    sign_seconds: float | None = None
    """When a person gives his first sign of life; None: nobody is there."""
    words: tuple[tuple[float, float], ...] = ()
    """From when to when each thing he says is to be heard, in seconds."""
    key: tuple[float, str] | None = None
    """A key that reaches us as an event, and when."""
    line: Line = Line()
    is_coded: bool = False
    """No mobile phone's codec is added: the clip has been through one, or the network
    makes the sound behind it (keys' tones, text telephones on a wire)."""
    echo: Echo | None = None

    def told(self) -> str:
        """What the call's audio goes through, in words."""
        if self.echo is None:
            return self.line.told()
        coded_by = f" through {self.echo.codec}" if self.echo.codec else ""
        return (
            f"{self.line.told()}, our prompt back at {self.echo.db:.0f} dB after "
            f"{1000 * self.echo.delay_seconds:.0f} ms{coded_by}"
        )

    @property
    def is_person(self) -> bool:
        """Whether somebody is there whom nobody may lose."""
        return self.label == "speech"


def at_our_ear(
    scene: Scene, house: House, met: Timetable, dice: Dice
) -> list[bytes | None]:
    """The call's frames as they reach us, if we say what `met` says."""
    sound = scene.sound
    if scene.echo is not None:
        sent = met.sent(house, sound.size / 8000)
        back = echoed(
            sent, scene.echo.response, scene.echo.delay_seconds, scene.echo.db
        )
        sound = sound + coded(back, scene.echo.codec)
    return travel(sound, scene.line, dice)


def with_line(scene: Scene, line: Line) -> Scene:
    """The same on another line; what has been coded is not coded again."""
    if not scene.is_coded:
        return replace(scene, line=line)
    echo = scene.echo and replace(scene.echo, codec=line.codec)
    return replace(scene, line=replace(line, codec=""), echo=echo)
