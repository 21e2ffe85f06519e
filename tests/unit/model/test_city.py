"""What may be declared, and how a fault is told: line and cure, every one of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pbx.model.city import City, CityError, Fault, Title, read_city

TEXT = (Path(__file__).parents[3] / "asterisk-config" / "city.toml").read_text()
PROMPTS = {"greeting", "second-chance", "goodbye", "please-hold"}


def told(text: str, *, prompts: set[str] | None = PROMPTS) -> list[str]:
    """The lines an admin reads about this city."""
    with pytest.raises(CityError) as caught:
        read_city(text, source="city.toml", prompts=prompts)
    assert str(caught.value) == "\n".join(caught.value.lines())
    return caught.value.lines()


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) >= 1, old
    return TEXT.replace(old, new, 1)


def line_with(text: str, words: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if words in line)


def test_the_reference_city_is_good() -> None:
    city = read_city(TEXT, source="city.toml", prompts=PROMPTS)
    assert city.city.name == "Kediri"
    assert city.queue("cadangan").members == ["103"]
    assert set(city.prompts()) == PROMPTS
    assert read_city(TEXT, source="city.toml") == city  # prompts need not be known


def test_asking_for_a_queue_nobody_declared_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nix"):
        read_city(TEXT, source="city.toml").queue("nix")


@pytest.mark.parametrize(
    ("old", "new", "at", "where", "what"),
    [
        ('queue = "darurat"', 'queue = "nix"', 'queue = "nix"', "numbers.0.queue",
         "there is no queue 'nix'; declared: cadangan, darurat"),
        ('flow = "filter0"', 'flow = "nix"', 'flow = "nix"', "numbers.0.flow",
         "there is no flow 'nix'; declared: filter0"),
        ('members = ["103"]', 'members = ["109"]', '"109"', "queues.1.members",
         "there is no operator '109'; declared: 101, 102, 103"),
        ('overflow = ["cadangan"]', 'overflow = ["nix"]', '"nix"', "queues.0.overflow",
         "there is no queue 'nix'"),
        ('overflow = ["cadangan"]', 'overflow = ["darurat"]', "overflow =",
         "queues.0.overflow", "darurat overflows into itself"),
        ('trunk = "carrier"', 'trunk = "nix"', '"nix"', "destinations.0.trunk",
         "there is no trunk 'nix'; declared: carrier"),
        ('name = "carrier"', 'name = "operator"', 'name = "operator"', "trunks.0.name",
         "the name 'operator' is taken by ourselves"),
        ('name = "cadangan"', 'name = "strict"', 'name = "strict"', "queues.1.name",
         "the name 'strict' is taken by ourselves"),
        ('name = "cadangan"', 'name = "darurat-patient"', "darurat-patient",
         "queues.1.name", "is taken by ourselves"),
        ('number = "102"', 'number = "101"', 'name = "Operator 2"',
         "operators.1.number",
         "the number 101 is declared at operators.0.number already"),
        ('number = "113"', 'number = "101"', "Pemadam", "destinations.1.number",
         "the number 101 is declared at operators.0.number already"),
        ('["127.0.0.2/32"]', '["0.0.0.0/0"]', "addresses", "trunks.0.addresses",
         "is the whole internet"),
        ('["127.0.0.2/32"]', '["carrier.example"]', "addresses", "trunks.0.addresses",
         "write an address such as 203.0.113.7/32"),
        ('["127.0.0.2/32"]', '["127.0.0.0/24"]', "addresses", "trunks.0.addresses",
         "its first address must be a single one, not 127.0.0.0/24"),
        ('sip_address = "127.0.0.1"', 'sip_address = "localhost"', "sip_address",
         "network.sip_address", "write one such as 192.0.2.10"),
        ("rtp_last_port = 29999", "rtp_last_port = 20001", "[network]", "network",
         "at least 3 above rtp_first_port"),
        ("sip_port = 5060", "sip_port = 20100", "[network]", "network",
         "lies in the range of the media's ports"),
        ("manager_port = 5038", "manager_port = 4580", "[network]", "network",
         "these want the same port: audiosocket_port of worker 0, manager_port"),
        ("sips_port = 5061", "sips_port = 443", "sips_port", "network.sips_port",
         "greater than or equal to 1024 (is 443)"),
        ("deadline_seconds = 40", "deadline_seconds = 8", "deadline_seconds",
         "flows.filter0.deadline_seconds", "greater than or equal to 10"),
        ("wait_seconds = 3.0", "wait_seconds = 9.0\n# deadline_seconds = 10",
         "wait_seconds = 9.0", "flows.filter0.wait_seconds", ""),
        ('doubt = "low-priority"', 'doubt = "release"', "doubt =",
         "flows.filter0.filter.doubt", "low-priority or operator, never release"),
        ('holdout = "low-priority"', 'holdout = "release"', "holdout =",
         "flows.filter0.filter.holdout", "never release"),
        ("release_below = 0.3", "release_below = 0.5", "release_below =",
         "flows.filter0.filter.release_below", "less than or equal to 0.3 (is 0.5)"),
        ('mode = "on"', 'mode = "of"', "mode =", "flows.filter0.filter.mode",
         "'on', 'shadow' or 'off' (is 'of')"),
        ("releases_per_hour = 60", "releases_per_hour = 0", "releases_per_hour =",
         "flows.filter0.filter.releases_per_hour", "greater than or equal to 1"),
        ('release_prompt = "goodbye"', 'release_prompt = "second-chance"',
         "[flows.filter0]", "flows.filter0", "say goodbye with a prompt of its own"),
        ("releases_per_hour", "releases_per_day", "releases_per_day",
         "flows.filter0.filter.releases_per_day", "unknown setting"),
        ('language = "id"', 'language = "Bahasa"', "language", "city.language",
         "a language is two small letters such as id (is 'Bahasa')"),
        ('timezone = "Asia/Jakarta"', 'timezone = "Mars"', "timezone", "city.timezone",
         "there is no time zone 'Mars'; use a name such as Asia/Jakarta"),
        ('strategy = "rrmemory"', 'strategy = "ringall"', "strategy",
         "queues.0.strategy", "the strategy is rrmemory, linear"),
        ('codecs = ["alaw", "ulaw"]', 'codecs = ["g729"]', "codecs",
         "trunks.0.codecs.0", "should be 'alaw' or 'ulaw'"),
        ('title = "Darurat 112"', 'titel = "Darurat 112"', "titel", "queues.0.titel",
         "unknown setting; remove it or correct its spelling"),
        ('name = "Operator 2"\n', "", 'number = "102"', "operators.1.name",
         "must be declared"),
        ('hold_prompt = "please-hold"', 'hold_prompt = "huh"', '"huh"',
         "queues.0.hold_prompt", "there is no prompt 'huh'; known: goodbye, greeting"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line_and_cure(
    old: str, new: str, at: str, where: str, what: str
) -> None:
    text = changed(old, new)
    if where == "flows.filter0.wait_seconds":  # both waits longer than the deadline
        text = text.replace("second_wait_seconds = 5.0", "second_wait_seconds = 10.0")
        text = text.replace("deadline_seconds = 40", "deadline_seconds = 15")
        where, at, what = "flows.filter0", "[flows.filter0]", "before both waits"
    line = line_with(text, at)
    lines = told(text)
    fitting = [told for told in lines if told.startswith("city.toml:") and what in told]
    assert fitting, lines
    places = [re.split(r":\s?", told, maxsplit=3)[1:3] for told in fitting]
    expected = {str(n) for n in (line, line - 1)}  # a table's head when the key is gone
    assert any(at_line in expected and p == where for at_line, p in places), lines


def test_every_fault_is_told_not_only_the_first() -> None:
    text = changed('queue = "darurat"', 'queue = "nix"').replace(
        'members = ["103"]', 'members = ["109"]'
    )
    assert len(told(text)) == 2


def test_the_same_name_or_number_twice() -> None:
    number = '[[numbers]]\nnumber = "112"\nflow = "filter0"\nqueue = "darurat"\n'
    trunk = '[[trunks]]\nname = "carrier"\naddresses = ["127.0.0.3"]\n'
    lines = told(TEXT + number + trunk)
    assert any("the number 112 is declared at numbers.0.number" in ln for ln in lines)
    assert any("the name carrier is declared at trunks.0.name" in ln for ln in lines)


def test_a_call_must_belong_to_one_trunk() -> None:
    other = '[[trunks]]\nname = "other"\naddresses = ["::1", "127.0.0.0/30"]\n'
    (line,) = told(TEXT + other)
    assert "127.0.0.0/30 is also carrier's (127.0.0.2/32)" in line


def test_networks_that_do_not_overlap_are_two_trunks() -> None:
    other = '[[trunks]]\nname = "other"\naddresses = ["203.0.113.0/24"]\n'
    assert len(read_city(TEXT + other, source="c", prompts=PROMPTS).trunks) == 2


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[city]\nname = \n", 2, "not TOML: Invalid value"),
        ("[city]\nname = 'x", 2, "not TOML: "),
        ("", 1, "must be declared"),
    ],
)
def test_what_is_not_toml_or_empty(text: str, line: int, what: str) -> None:
    first = told(text)[0]
    assert what in first
    if text:
        assert first.startswith(f"city.toml:{line}: ")
    else:  # nothing stands anywhere
        assert first.startswith("city.toml: city")


def test_a_missing_prompt_where_none_are_known() -> None:
    assert any("known: none" in line for line in told(TEXT, prompts=set()))


def test_a_fault_without_a_line_still_reads_well() -> None:
    error = CityError("city.toml", [Fault("", "is empty")])
    assert error.lines() == ["city.toml: is empty"]


def test_quoted_keys_and_headers_are_found() -> None:
    text = changed("[flows.filter0]", '[flows."filter0"]').replace(
        "wait_seconds = 3.0", '"wait_seconds" = 77', 1
    )
    assert told(text)[0].startswith(
        f"city.toml:{line_with(text, '= 77')}: flows.filter0"
    )


TITLES = TypeAdapter(Title)
FORBIDDEN = set('<>"\\;[]|,${}`\x00\n\r\t\x7f\x85\u2028\u2029')


@given(st.text(max_size=70))
def test_a_title_never_carries_what_asterisk_reads_as_code(text: str) -> None:
    try:
        title = TITLES.validate_python(text)
    except ValidationError:
        return
    assert not FORBIDDEN & set(title)
    assert title == title.lstrip()
    assert 1 <= len(title) <= 60


@given(st.sampled_from(sorted(FORBIDDEN)), st.text("abc ", max_size=5))
def test_one_forbidden_character_is_enough(bad: str, rest: str) -> None:
    with pytest.raises(ValidationError):
        TITLES.validate_python(f"a{rest}{bad}")


def test_a_declared_city_cannot_be_changed_by_accident() -> None:
    city = read_city(TEXT, source="city.toml")
    with pytest.raises(ValidationError):
        city.network.sip_port = 1
    assert isinstance(city, City)
