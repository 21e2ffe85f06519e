"""Telling Asterisk's journal what happened: `EXEC CELGenUserEvent NAME,key=value&…`.

The journal is the truth records are made of. Each value is URL-encoded: a quote inside
breaks cel_custom's JSON (proved on 22.10), a comma separates the application's
arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from ghostfilter.verdict import Verdict

MAX_EVIDENCE_BYTES = 160
"""As sent, URL-encoded. A longer story stays whole in the log and in the kept call."""


@dataclass(frozen=True, slots=True)
class PromptHeard:
    """What the caller heard of a prompt."""

    name: str
    at_ms: int
    """Since the audio was connected, like every `at_ms`."""
    heard_ms: int
    ended: str
    """key, voice, end or caller."""
    from_frame: int | None = None
    """How many of the caller's frames had come when it began; None: not counted."""
    to_frame: int | None = None
    """The same when it ended. By them, a replay hears what the filter heard."""

    def told(self) -> str:
        """The fact as CELGenUserEvent's arguments."""
        return _told(
            "PROMPT",
            name=self.name,
            at_ms=self.at_ms,
            heard_ms=self.heard_ms,
            ended=self.ended,
        )


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key."""

    digit: str
    at_ms: int
    source: str = "event"
    """event (RFC 4733) or audio: heard as a tone, its event got lost."""

    def told(self) -> str:
        """The fact as CELGenUserEvent's arguments."""
        source = {} if self.source == "event" else {"source": self.source}
        return _told("KEY", digit=self.digit, at_ms=self.at_ms, **source)


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict."""

    verdict: Verdict
    at_ms: int

    def told(self) -> str:
        """The fact as CELGenUserEvent's arguments."""
        return _told(
            "VERDICT",
            verdict=self.verdict.ruling.value,
            reason=self.verdict.reason.value,
            at_ms=self.at_ms,
            evidence=_shortened(self.verdict.because),
            confidence=f"{self.verdict.confidence:.2f}",
            **({"holdout": 1} if self.verdict.is_holdout else {}),
            **({"shadow": 1} if self.verdict.is_shadow else {}),
        )


Fact = PromptHeard | KeyPressed | Judged


def _shortened(text: str) -> str:
    """As much of the evidence as the journal may carry."""
    while len(quote(text, safe="")) > MAX_EVIDENCE_BYTES:
        text = text[:-1]
    return text


def _told(event: str, /, **values: str | int) -> str:
    return f"{event},{urlencode(values, quote_via=quote, safe='')}"
