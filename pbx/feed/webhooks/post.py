"""One attempt: a signed POST, and what became of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp

from pbx.feed.webhooks.address import ForbiddenAddressError, PublicResolver, refusal
from pbx.feed.webhooks.event import CONTENT_TYPE, Message
from pbx.feed.webhooks.signing import headers
from pbx.records.base import now
from pbx.records.webhooks import Subscription

DEADLINE_SECONDS = 15.0
"""For the whole attempt; Standard Webhooks recommends 15 to 30 s."""
CONNECT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 3600.0
"""Longest pause a Retry-After may ask for."""
_MOST_SAID = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the other side said: its status, or why there is none."""

    status: int | None
    why: str | None
    retry_after_seconds: float | None = None

    @property
    def is_delivered(self) -> bool:
        """2xx: it has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """410: it wants no more."""
        return self.status == 410


def open_session(*, private: bool) -> aiohttp.ClientSession:
    """Connections of one subscription; nothing of it is shared with another's."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=None if private else PublicResolver(),
            use_dns_cache=False,
            limit=0,
        ),
        timeout=aiohttp.ClientTimeout(
            total=DEADLINE_SECONDS, sock_connect=CONNECT_SECONDS
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "Gerbang112-Webhooks/1", "Content-Type": CONTENT_TYPE},
    )


async def post(
    session: aiohttp.ClientSession, hook: Subscription, message: Message
) -> Outcome:
    """Send it once. Every answer, and none, is an outcome; redirects are not followed,
    for they could lead anywhere. What the other side writes is not read."""
    if why := refusal(hook.url, private=hook.private):
        return Outcome(None, why)
    signed = headers(message.id, int(time.time()), message.body, hook.secrets(now()))
    try:
        async with session.post(
            hook.url, data=message.body, headers=signed, allow_redirects=False
        ) as response:
            return Outcome(
                response.status,
                None if 200 <= response.status < 300 else _said(response.status),
                retry_after(response.headers.get("Retry-After", ""), now()),
            )
    except TimeoutError:
        return Outcome(None, f"no answer within {DEADLINE_SECONDS:.0f} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Outcome(None, _why(error))


def _why(error: BaseException) -> str:
    """In one line of plain letters, for aiohttp quotes what it got; it wraps what our
    resolver says of a forbidden address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ForbiddenAddressError):
            return str(cause)
        cause = cause.__cause__
    line = (str(error) or repr(error)).splitlines()[0][:_MOST_SAID]
    return "".join(c if " " <= c <= "~" else "?" for c in line)


def retry_after(text: str, at: datetime) -> float | None:
    """Seconds a Retry-After asks for (RFC 9110, 10.2.3), at most an hour."""
    try:
        seconds = int(text)
    except ValueError:
        try:
            then = parsedate_to_datetime(text)
            then = then.replace(tzinfo=then.tzinfo or UTC)
        except (ValueError, OverflowError):
            return None
        seconds = int((then - at).total_seconds())
    return float(min(max(seconds, 0), LONGEST_WAIT_SECONDS))


def _said(status: int) -> str:
    """In our words: the reason phrase may hold any byte (RFC 9112, 4), also such as no
    database takes, and whatever we just told."""
    try:
        reason = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        reason = str(status)
    if 300 <= status < 400:
        reason += ": redirects are not followed, add the webhook with its final URL"
    return reason
