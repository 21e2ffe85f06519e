"""What a replay found, for people and for programs."""

from __future__ import annotations

from typing import Any

from pbx.laboratory.replay import Again, Tally

MOST_TOLD = 40
UNKNOWN = (
    "A replay cannot know what a caller would have done had he been asked otherwise: "
    "the stored sound is his answer to what he heard then. The lot and the drop budget "
    "count neither then nor now."
)


def as_data(tally: Tally) -> dict[str, Any]:
    """For `--json`."""
    return {
        "calls": tally.calls,
        "otherwise": len(tally.otherwise),
        "valid_calls_released": len(tally.lost),
        "people_released_again": len(tally.again),
        "only_watched": tally.watched,
        "asked_again": tally.asked_again,
        "without_prompt": tally.lacking_prompts,
        "damaged": list(tally.damaged),
        "moves": [
            {"from": old.value, "to": new.value, "n": n}
            for (old, new), n in sorted(tally.moves.items())
        ],
        "reasons": [
            {"from": old.value, "to": new.value, "n": n}
            for (old, new), n in sorted(tally.reasons.items())
        ],
        "calls_otherwise": [_data(again) for again in tally.otherwise],
    }


def as_lines(tally: Tally) -> list[str]:
    """For a terminal."""
    lines = [f"{tally.calls} stored calls played again."]
    for (old, new), n in sorted(tally.moves.items()):
        mark = "    " if old is new else "  → "
        lines.append(f"{mark}{old.value:>12} then, {new.value:<13} now: {n}")
    if tally.asked_again:
        lines.append(
            f"{tally.asked_again} would have been asked once more; what they would "
            "have said is not known."
        )
    if tally.lacking_prompts:
        lines.append(
            f"{tally.lacking_prompts} were played without a prompt of theirs, which is "
            "gone: its echo may have passed for a voice."
        )
    if tally.watched:
        lines.append(
            f"{tally.watched} are of flows that only watch now (shadow): told is what "
            "would be if they acted."
        )
    if tally.otherwise:
        lines += ["", "Decided otherwise, valid calls first:"]
        ranked = sorted(tally.otherwise, key=lambda a: (not a.is_lost, a.at))
        lines += [_line(again) for again in ranked[:MOST_TOLD]]
        if len(ranked) > MOST_TOLD:
            lines.append(f"  … and {len(ranked) - MOST_TOLD} more (--json tells all)")
    if tally.again:
        lines += ["", "Valid calls released by the rule then, and now as well:"]
        lines += [_line(again) for again in tally.again]
    lines += ["", _verdict(tally), UNKNOWN]
    if tally.damaged:
        lines += ["", f"{len(tally.damaged)} not played:"]
        lines += [f"  {one}" for one in tally.damaged[:MOST_TOLD]]
    return lines


def _verdict(tally: Tally) -> str:
    if tally.lost:
        return f"{len(tally.lost)} VALID CALLS WOULD BE RELEASED NOW. Do not use this."
    if tally.again:
        return f"{len(tally.again)} people would be released once more."
    if not tally.calls:
        return "Nothing was tried: no stored call could be played."
    return "No valid call would be released."


def _line(again: Again) -> str:
    spared = ", spared" if again.spared else ""
    truth = f", {again.truth.value.upper()}" if again.truth else ""
    return (
        f"  {again.at:%Y-%m-%d %H:%M:%S} {again.call_id}: "
        f"{again.old.value} ({again.old_reason.value}{spared}) → "
        f"{again.new.value} ({again.new_reason.value}){truth}: {again.because}"
    )


def _data(again: Again) -> dict[str, Any]:
    return {
        "call_id": again.call_id,
        "at": again.at.isoformat(),
        "from": again.old.value,
        "from_reason": again.old_reason.value,
        "spared": again.spared,
        "to": again.new.value,
        "to_reason": again.new_reason.value,
        "because": again.because,
        "decided_ms": again.decided_ms,
        "truth": again.truth.value if again.truth else None,
    }
