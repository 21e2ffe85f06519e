"""The declared city as Asterisk's configuration: plain values in, file texts out.

Nothing here touches a disk but to read the templates; `pbx.asterisk.releases` puts the
texts where Asterisk reads them.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pbx.asterisk.modules import MODULES
from pbx.asterisk.secrets import Secrets
from pbx.model.city import City, Flow, Queue
from pbx.model.policy import Mode
from pbx.settings import PROJECT, switch_files

TEMPLATES = PROJECT / "asterisk-config" / "templates"

REPEAT_MINUTES = 10
"""Who was released and calls again within this time is never released again."""

REPEAT_BONUS = 50
"""So much is added to the priority of a repeat caller, up to 100."""

SWITCHES = {
    mode: f"/gerbang/{path.name}" for mode, path in switch_files(Path("/")).items()
}
"""Where Asterisk, in its private root, sees what `gerbang ghostfilter off` leaves."""

PHONE_DEAD_SECONDS = 20
"""An operator's phone that sends no audio packet for so long in a conversation is dead.
Phones that save silence (DTX) still send one every few seconds (RFC 3389 comfort noise,
pjsip's keep-alive of 5 s)."""

PATIENT = "-patient"
"""Ends the name of the queue that is the last rung of a declared queue's ladder."""

_TONE_ZONE = "id"

BANNER = """\
; Rendered by `gerbang render` from the declared city: {name}.
; Do not edit: change asterisk-config/city.toml or asterisk-config/templates/{file}.j2,
; then `gerbang check` and `gerbang render`."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One stay in a queue: `queue` is app_queue's name, `declared` the city's."""

    queue: str
    declared: str
    seconds: int


CALLER_HEADERS = {
    "asserted": "P-Asserted-Identity",
    "access-network": "P-Access-Network-Info",
    "geolocation": "Geolocation",
}
"""What the record keeps of an INVITE as it came (RFC 3325, 7315, 6442)."""

CALLER_PIECE = 120
"""Characters of a header in one fact: 360 bytes if each must be encoded. With the
longest names and numbers the line stays below the 1,023 bytes Asterisk gives it."""
CALLER_PIECES = 4
"""Of one header at most; what comes after 480 characters is left out."""


@dataclass(frozen=True, slots=True)
class _FlowView:
    """A flow as the dialplan needs it."""

    greeting: str
    release_prompt: str
    deadline_seconds: int
    releases: bool
    is_off: bool
    releases_per_hour: int


def render_city(city: City, secrets: Secrets) -> dict[str, str]:
    """Every configuration file of this city: name → text. Pure, but for the templates.

    Raises KeyError if `secrets` lacks a declared operator (see `keep_secrets`).
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - not HTML; all text is checked by pbx.model.city
    )
    values = _values(city, secrets)
    return {
        (file := name.removesuffix(".j2")): environment.get_template(name).render(
            banner=BANNER.format(name=city.city.name, file=file), **values
        )
        for name in sorted(environment.list_templates(extensions=["j2"]))
    }


def _values(city: City, secrets: Secrets) -> dict[str, object]:
    """What the templates may name."""
    address = ipaddress.ip_address(city.network.sip_address)
    return {
        "city": city,
        "network": city.network,
        "secrets": secrets,
        "address_in_uri": f"[{address}]" if address.version == 6 else str(address),
        "media_address": None if address.is_unspecified else str(address),
        "trunk_hosts": {t.name: _host(t.addresses[0]) for t in city.trunks},
        "tone_zone": _TONE_ZONE,
        "module_groups": MODULES,
        "operators": {operator.number: operator for operator in city.operators},
        "flows": {name: _flow_view(flow) for name, flow in city.flows.items()},
        "ladders": {queue.name: ladder(city, queue) for queue in city.queues},
        "patient_members": {q.name: _patient_members(city, q) for q in city.queues},
        "repeat_minutes": REPEAT_MINUTES,
        "repeat_bonus": REPEAT_BONUS,
        "caller_headers": CALLER_HEADERS,
        "caller_piece": CALLER_PIECE,
        "caller_pieces": CALLER_PIECES,
        "switches": SWITCHES,
        "phone_dead_seconds": PHONE_DEAD_SECONDS,
        "sound": lambda name: f"/gerbang-sounds/{city.city.language}/{name}",
        "outside": _to_waiting,
    }


def ladder(city: City, queue: Queue) -> list[Rung]:
    """Where a caller of this queue waits, rung by rung, round and round.

    An overflow rung lasts long enough to ring each of its phones once; who has not been
    answered then is patient: every phone of the ladder rings for him.
    """
    rungs = [Rung(queue.name, queue.name, queue.overflow_after_seconds)]
    for name in queue.overflow:
        other = city.queue(name)
        once = len(other.members) * (other.ring_seconds + 1)
        rungs.append(Rung(name, name, min(once, other.overflow_after_seconds)))
    patience = Rung(queue.name + PATIENT, queue.name, queue.overflow_after_seconds)
    return [*rungs, patience]


def _patient_members(city: City, queue: Queue) -> list[str]:
    overflow = [city.queue(name).members for name in queue.overflow]
    return list(dict.fromkeys([*queue.members, *(m for ms in overflow for m in ms)]))


def _flow_view(flow: Flow) -> _FlowView:
    return _FlowView(
        greeting=flow.greeting,
        release_prompt=flow.release_prompt,
        deadline_seconds=flow.deadline_seconds,
        releases=flow.filter.releases,
        is_off=flow.filter.mode is Mode.OFF,
        releases_per_hour=flow.filter.releases_per_hour,
    )


def _host(network: str) -> str:
    """The carrier's own address, as it stands in a SIP URI."""
    address = ipaddress.ip_network(network).network_address
    return f"[{address}]" if address.version == 6 else str(address)


def _to_waiting(*extensions: str) -> str:
    """What leads to the queue from each of these special extensions."""
    return "\n".join(f"exten => {name},1,Goto(waiting,s,1)" for name in extensions)
