"""Telephone numbers as people and networks write them: which of them are one and the
same. `0812…`, `+62812…`, `62812…` and `0062812…` are one subscriber (ITU-T E.164).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pbx.model.masking import ERASED

COUNTRY = "62"
"""Indonesia."""

SHORTEST = 6
"""Digits of the shortest number of a subscriber; fewer is a short number (110) or an
operator's phone, the same everywhere."""

_SEPARATORS = re.compile(r"[\s().\-/]+")
_SCHEME = re.compile(r"^\s*(?:sips?|tel):", re.IGNORECASE)
_DIGITS = re.compile(r"\+?[0-9]+")


class NotANumberError(ValueError):
    """No telephone number; the text says what one looks like."""


def normalised(text: str) -> str:
    """The number's one form: digits, the country's code first where it has one.

    Takes what a person types and what SIP carries: `0812-3456-7890`, `tel:+62812…`,
    `sip:+62812…@ims.example`. A short number stays as it is. Raises NotANumberError.
    """
    told = _SCHEME.sub("", text).partition("@")[0].partition(";")[0]
    told = _SEPARATORS.sub("", told)
    if not _DIGITS.fullmatch(told):
        raise NotANumberError(
            f"{text.strip()!r} is no telephone number; write it as 081234567890 or "
            "+6281234567890"
        )
    digits = told.removeprefix("+")
    if told.startswith("+") or len(digits) < SHORTEST:
        return digits
    if digits.startswith("00"):
        return digits[2:]
    if digits.startswith("0"):
        return COUNTRY + digits[1:]
    return digits


def is_same(one: str, other: str) -> bool:
    """Whether both are the same number, however written; no number is like no other."""
    try:
        return normalised(one) == normalised(other)
    except NotANumberError:
        return False


def core(number: str) -> str:
    """The digits that stand in every form of a normalised number: without the
    country's code."""
    is_ours = number.startswith(COUNTRY) and len(number) >= SHORTEST + len(COUNTRY)
    return number[len(COUNTRY) :] if is_ours else number


def spellings(text: str) -> tuple[str, ...]:
    """Every way a network writes this number, without separators; what is no number
    stays as it is."""
    try:
        number = normalised(text)
    except NotANumberError:
        return (text,)
    if len(number) < SHORTEST:
        return (text,)
    found = [number, f"+{number}", f"00{number}"]
    if core(number) != number:
        found.append(f"0{core(number)}")
    return tuple(found)


def mentions(text: str, number: str) -> bool:
    """Whether a normalised number stands in this text, in any form, also with spaces
    or dashes between its digits; not as a part of a longer number."""
    between = r"[\s().\-/]{0,2}"
    digits = between.join(core(number))
    country = between.join(COUNTRY)
    prefix = rf"(?:(?:\+|00)?{between}{country}{between}(?:\(0\))?|0)?{between}"
    return re.search(rf"(?<![0-9]){prefix}{digits}(?![0-9])", text) is not None


def mentions_anywhere(value: Any, number: str) -> bool:
    """The same for a record or any part of it."""
    if isinstance(value, str):
        return mentions(value, number)
    if isinstance(value, Mapping):
        return any(mentions_anywhere(inner, number) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(mentions_anywhere(inner, number) for inner in value)
    return False


def without(value: Any, number: str) -> Any:
    """A record or part of it, each text that mentions the number replaced by `ERASED`:
    for the records of others in which somebody is only mentioned."""
    if isinstance(value, str):
        return ERASED if mentions(value, number) else value
    if isinstance(value, Mapping):
        return {key: without(inner, number) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without(inner, number) for inner in value]
    return value


def is_about(record: Mapping[str, Any], number: str) -> bool:
    """Whether the call is this person's: he called, as the network or the header says,
    or an operator called him."""
    own = [str(record.get("ani") or "")]
    if record.get("direction") == "outgoing":
        own = [str(record.get("number") or "")]
    asserted = str((record.get("caller") or {}).get("asserted") or "")
    return any(is_same(text, number) for text in own) or mentions(asserted, number)
