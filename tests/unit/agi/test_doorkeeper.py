"""The doorkeeper: deadlines and chairs for those who have not said who they are."""

from __future__ import annotations

from agi.doorkeeper import Doorkeeper


class Guest:
    def __init__(self) -> None:
        self.turned: list[str] = []

    def turn_away(self, why: str) -> None:
        self.turned.append(why)


def test_who_waits_too_long_goes_in_order_of_arrival() -> None:
    now = 0.0
    door = Doorkeeper(lambda: now, deadline_seconds=2.0)
    early, late = Guest(), Guest()
    door.admit(early)
    now = 1.0
    door.admit(late)
    now = 2.0
    door.sweep()
    assert (early.turned, late.turned) == (["late"], [])
    now = 3.0
    door.sweep()
    assert late.turned == ["late"]
    assert door.turned.late == 2
    assert door.waiting == 0


def test_a_full_house_turns_the_longest_waiting_away() -> None:
    door = Doorkeeper(lambda: 0.0, chairs=2)
    guests = [Guest() for _ in range(3)]
    for guest in guests:
        door.admit(guest)
    assert [guest.turned for guest in guests] == [["crowded"], [], []]
    assert door.turned.crowded == 1


def test_who_is_known_stays() -> None:
    now = 0.0
    door = Doorkeeper(lambda: now, chairs=1)
    known = Guest()
    door.admit(known)
    door.forget(known)
    door.admit(Guest())
    now = 9.0
    door.sweep()
    assert known.turned == []
    door.forget(known)  # a second time harms nothing
