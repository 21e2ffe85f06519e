"""A half-written configuration never replaces a good one; secrets stay secret."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pbx.asterisk.activate import activate, go_back, lost_callers, needs_restart
from pbx.asterisk.releases import KEEP, ReleaseError, Releases, changes
from pbx.asterisk.render import render_city
from pbx.asterisk.secrets import Secrets, SecretsError, keep_secrets, read_secrets
from pbx.asterisk.tls import CERTIFICATE, KEY, ensure_certificate
from pbx.model.city import City, read_city

CONFIG = Path(__file__).parents[3] / "asterisk-config"
CITY = read_city((CONFIG / "city.toml").read_text(), source="city.toml")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def with_ring_seconds(seconds: int) -> City:
    first = CITY.queues[0].model_copy(update={"ring_seconds": seconds})
    return CITY.model_copy(update={"queues": [first, *CITY.queues[1:]]})


# -- releases ----------------------------------------------------------------------


def test_a_release_is_written_whole_and_switched_to(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    assert releases.current() is None
    assert releases.all() == []
    one = releases.add({"a.conf": "1"})
    assert releases.current() is None  # written, not yet in force
    releases.use(one)
    two = releases.add({"a.conf": "2", "b.conf": ""})
    releases.use(two)
    assert releases.current() == two
    assert releases.previous() == one
    assert (tmp_path / "current").readlink() == Path("releases") / two.name
    assert [r.number for r in releases.all()] == [1, 2]
    assert two.files() == {"a.conf": "2", "b.conf": ""}
    assert mode(two.path / "a.conf") == 0o600
    assert datetime.now(UTC) - two.written_at < timedelta(minutes=1)


def test_two_who_render_at_once_agree_on_the_passwords(tmp_path: Path) -> None:
    cities = [with_ring_seconds(10 + n) for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda city: activate(tmp_path, city, None), cities))
    assert len({each.release.name for each in done}) == 6
    kept = read_secrets(tmp_path / "secrets.json").manager["control"]
    for each in done:
        assert f"secret = {kept}\n" in each.release.files()["manager.conf"]


def test_the_same_content_is_the_same_release(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    one = releases.add({"a.conf": "1"})
    releases.use(one)
    assert releases.add({"a.conf": "1"}) == one
    releases.use(one)
    assert releases.previous() is None
    assert len(releases.all()) == 1


def test_a_release_somebody_edited_is_not_taken_for_ours(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    one = releases.add({"a.conf": "1"})
    (one.path / "a.conf").write_text("edited")
    assert releases.add({"a.conf": "1"}) != one


def test_back_is_there_and_back(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    with pytest.raises(ReleaseError, match="no previous configuration"):
        releases.back()
    one, two = (releases.add({"a.conf": n}) for n in "12")
    releases.use(one)
    releases.use(two)
    assert releases.back() == one
    assert releases.current() == one
    assert releases.back() == two


def test_old_releases_go_but_never_those_in_use(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    first = releases.add({"a.conf": "first"})
    releases.use(first)
    for n in range(KEEP + 3):
        last = releases.add({"a.conf": str(n)})
    releases.use(last)
    assert releases.previous() == first
    assert first.path.is_dir()
    assert len(releases.all()) == KEEP + 1


def test_a_disk_that_takes_nothing_changes_nothing(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    one = releases.add({"a.conf": "1"})
    releases.use(one)
    with pytest.raises(ReleaseError, match="stays in force"):
        releases.add({"x/y.conf": "no such directory: as a full disk would"})
    assert releases.current() == one
    assert [p.name for p in releases.directory.iterdir()] == [one.name]


def test_a_switch_that_fails_says_so(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    one = releases.add({"a.conf": "1"})
    (tmp_path / "current").mkdir()  # somebody put a directory there
    (tmp_path / "current" / "x").write_text("")
    with pytest.raises(ReleaseError, match="cannot switch"):
        releases.use(one)


def test_scratch_of_a_render_that_was_killed_is_passed_over(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    one = releases.add({"a.conf": "1"})
    (releases.directory / ".0002-abc.1").mkdir()
    assert releases.all() == [one]


def test_changes_for_people() -> None:
    assert changes({"a": "1\n2", "b": "x"}, {"a": "1\n3\n4", "b": "x", "c": "new"}) == [
        "a: +2 -1",
        "c: +1 -0",
    ]


# -- putting a city in force -------------------------------------------------------


def test_a_city_in_force_and_back(tmp_path: Path) -> None:
    first = activate(tmp_path, CITY, None)
    assert first.restart == []
    assert "the first ones" in first.changes[0]
    assert activate(tmp_path, CITY, None).changes == []
    second = activate(tmp_path, with_ring_seconds(30), None)
    assert second.changes == ["queues.conf: +2 -2"]
    assert second.restart == []
    assert (tmp_path / "log" / "cel-custom").is_dir()
    gone_back = go_back(tmp_path)
    assert gone_back.release == first.release
    assert gone_back.changes == ["queues.conf: +2 -2"]
    assert Releases(tmp_path).current() == first.release


def test_what_only_a_restart_brings(tmp_path: Path) -> None:
    activate(tmp_path, CITY, None)
    network = CITY.network.model_copy(update={"sip_port": 5070})
    done = activate(tmp_path, CITY.model_copy(update={"network": network}), None)
    assert done.restart == ["SIP addresses and ports"]
    network = CITY.network.model_copy(update={"sip_address": "127.0.0.3"})
    done = activate(tmp_path, CITY.model_copy(update={"network": network}), None)
    assert done.restart[-1] == "a new TLS certificate"
    assert needs_restart({"modules.conf": "a"}, {"modules.conf": "b"}) == [
        "modules.conf"
    ]


def test_callers_who_are_where_the_new_dialplan_has_no_place() -> None:
    queues = (
        "darurat has 3 calls (max unlimited) in 'rrmemory'\n"
        "alt has 2 calls (max unlimited) in 'rrmemory'\n"
        "alt-patient has 1 calls (max\n"
        "neu has 0 calls (max\n"
    )
    channels = (
        "PJSIP/carrier-00000001!filter-filter0!s!24!Up!AGI!x!08!!!3!1!!k-1.0\n"
        "PJSIP/carrier-00000002!filter-old!s!24!Up!AGI!x!08!!!3!1!!k-1.1\n"
        "PJSIP/carrier-00000003!degraded-old!s!3!Up!BackgroundDetect!x!!!!3!1!!k-1.2\n"
        "PJSIP/carrier-00000004!queue-alt!s!3!Up!Queue!x!!!!3!1!!k-1.3\n"
        "PJSIP/101-00000005!from-operators!s!1!Up!AppQueue!x!!!!3!1!!k-1.4\n"
    )
    plan = render_city(CITY, Secrets.placeholders(CITY))["extensions.conf"]
    assert lost_callers(queues, channels, plan) == [
        "2 in queue alt",
        "1 in queue alt-patient",
        "1 in filter-old",
        "1 in degraded-old",
    ]
    assert lost_callers(queues, channels, "") != []
    assert lost_callers("", "", plan) == []


# -- secrets -----------------------------------------------------------------------


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secrets.json"
    made = keep_secrets(path, CITY)
    assert mode(path) == 0o600
    assert keep_secrets(path, CITY) == made == read_secrets(path)
    assert set(made.operators) == {"101", "102", "103"}
    assert len(set(made.operators.values()) | set(made.manager.values())) == 4
    assert min(map(len, made.operators.values())) >= 24


def test_a_new_operator_gets_one_and_the_others_keep_theirs(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = keep_secrets(path, CITY)
    known = made.operators | {"199": "left-the-city"}
    del known["102"]
    path.write_text(json.dumps({"manager": made.manager, "operators": known}))
    again = keep_secrets(path, CITY)
    assert again.operators["101"] == made.operators["101"]
    assert again.operators["102"] != made.operators["102"]
    assert again.operators["199"] == "left-the-city"
    assert mode(path) == 0o600


@pytest.mark.parametrize("broken", ["", "[]", '{"manager": {}}', '{"manager": 3}'])
def test_a_broken_secrets_file_is_never_overwritten(
    tmp_path: Path, broken: str
) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(broken)
    with pytest.raises(SecretsError, match="Restore the file from a backup"):
        keep_secrets(path, CITY)
    assert path.read_text() == broken


def test_secrets_that_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecretsError):
        keep_secrets(tmp_path / "file" / "secrets.json", CITY)
    (tmp_path / "s.tmp").mkdir()
    with pytest.raises(SecretsError, match="cannot keep"):
        keep_secrets(tmp_path / "s.json", CITY)


def test_placeholders_name_whom_they_stand_for() -> None:
    assert Secrets.placeholders(CITY).operators["101"] == "GENERATED-FOR-101"


# -- the certificate ---------------------------------------------------------------


def test_a_certificate_is_made_once_and_renewed_before_its_end(tmp_path: Path) -> None:
    hosts = ["192.0.2.10", "sip.kediri.example"]
    assert ensure_certificate(tmp_path, hosts)
    assert mode(tmp_path / KEY) == 0o600
    first = (tmp_path / CERTIFICATE).read_bytes()
    assert not ensure_certificate(tmp_path, hosts)
    later = datetime.now(UTC) + timedelta(days=690)
    assert not ensure_certificate(tmp_path, hosts, now=later)
    assert ensure_certificate(tmp_path, hosts, now=later + timedelta(days=20))
    assert (tmp_path / CERTIFICATE).read_bytes() != first
    certificate = x509.load_pem_x509_certificate((tmp_path / CERTIFICATE).read_bytes())
    key = serialization.load_pem_private_key((tmp_path / KEY).read_bytes(), None)
    assert certificate.public_key() == key.public_key()


@pytest.mark.parametrize("harm", ["hosts", "key", "rubbish"])
def test_a_certificate_that_no_longer_serves_is_replaced(
    tmp_path: Path, harm: str
) -> None:
    ensure_certificate(tmp_path, ["192.0.2.10"])
    if harm == "key":
        (tmp_path / KEY).unlink()
    if harm == "rubbish":
        (tmp_path / CERTIFICATE).write_text("rubbish")
    hosts = ["192.0.2.11"] if harm == "hosts" else ["192.0.2.10"]
    assert ensure_certificate(tmp_path, hosts)


def test_the_citys_own_certificate_is_never_touched(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ensure_certificate(theirs, ["sip.kediri.example"])
    pem = (theirs / CERTIFICATE).read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    key = serialization.load_pem_private_key((theirs / KEY).read_bytes(), None)
    name = x509.Name(
        [x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "Kediri Root CA")]
    )
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(certificate.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=900))
        .not_valid_after(datetime.now(UTC) - timedelta(days=1))
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    ours.mkdir()
    own = signed.public_bytes(serialization.Encoding.PEM)
    (ours / CERTIFICATE).write_bytes(own)
    (ours / KEY).write_bytes((theirs / KEY).read_bytes())
    assert not ensure_certificate(ours, ["192.0.2.10"])
    assert (ours / CERTIFICATE).read_bytes() == own
