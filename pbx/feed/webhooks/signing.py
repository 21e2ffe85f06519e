"""Standard Webhooks 1.0 signatures: who is told can prove that it was us.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def headers(
    message_id: str, at_seconds: int, body: bytes, secrets: Sequence[str]
) -> dict[str, str]:
    """The three headers; one signature a secret, so that either one proves it.

    `at_seconds` is Unix time of this attempt. Raises ValueError for a secret that is
    none, or a full stop in the id: it parts what is signed.
    """
    if "." in message_id:
        raise ValueError("a webhook's id may have no full stop")
    signed = b".".join([message_id.encode(), str(at_seconds).encode(), body])
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(_sign(signed, secret) for secret in secrets),
    }


def _sign(signed: bytes, secret: str) -> str:
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a webhook's secret is whsec_ and base64") from error
