"""The last net of the command line: what the machine refuses is a sentence."""

from __future__ import annotations

import errno
import sys

import pytest

from pbx import __main__


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "gerbang render: No space left on device; make room",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x/y"),
            "gerbang render: /x/y: Permission denied; run as its owner",
        ),
        (OSError("odd"), "gerbang render: OSError('odd'); `gerbang doctor`"),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(
    error: OSError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(__main__, "build", lambda _: refuse)
    monkeypatch.setattr(sys, "argv", ["gerbang", "render", "--list"])
    with pytest.raises(SystemExit, match="^" + said.split("(")[0]) as caught:
        __main__.main()
    assert str(caught.value).startswith(said)


def test_it_holds_under_a_real_command(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "/proc/self/nowhere"
    monkeypatch.setenv("GERBANG_STATE", nowhere)
    monkeypatch.setattr(sys, "argv", ["gerbang", "run"])
    with pytest.raises(SystemExit, match=f"gerbang run: {nowhere}: No such"):
        __main__.main()
