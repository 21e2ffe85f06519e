"""What a caller does becomes what Asterisk runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbx.simulator.script import (
    HangUp,
    NoMedia,
    Press,
    Say,
    Script,
    Silence,
    dialplan_steps,
)


def voice(sound: Say | Silence) -> str:
    return f"/v/{sound.file.stem}" if isinstance(sound, Say) else f"/s/{sound.seconds}"


def test_every_step_is_an_application() -> None:
    script = Script(
        (Silence(2), Press("0*#"), Say(Path("fire.wav")), NoMedia(1.5), HangUp()),
        afterwards=NoMedia(60),
    )
    steps, tail = dialplan_steps(script, voice)
    assert steps == [
        "Playback(/s/2)",
        "SendDTMF(0*#,100,120)",
        "Playback(/v/fire)",
        "Wait(1.500)",
        "Hangup()",
    ]
    assert tail == "Wait(60.000)"


def test_a_silent_caller_still_sends_audio() -> None:
    assert dialplan_steps(Script(), voice) == ([], "Playback(/s/60)")


@pytest.mark.parametrize("digits", ["", "x", "0,System(rm)", "0 1"])
def test_only_keys_can_be_pressed(digits: str) -> None:
    with pytest.raises(ValueError, match="are not keys"):
        Press(digits)
