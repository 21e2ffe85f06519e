"""What to enter in an operator's softphone; documented in docs/operators.md."""

from __future__ import annotations

from pbx.model.city import City, Operator, Transport


def settings_text(city: City, operator: Operator, password: str) -> str:
    """The settings of one phone, for people, and its account line for baresip."""
    tls = operator.transport is Transport.TLS
    port = city.network.sips_port if tls else city.network.sip_port
    host = _in_uri(city.network.sip_address)
    return "\n".join(
        [
            f"operator   {operator.number} ({operator.name})",
            f"server     {host}:{port}",
            f"transport  {operator.transport.upper()}",
            f"user       {operator.number}",
            f"password   {password}",
            f"media      {'SRTP (SDES), optional' if tls else 'RTP'}; G.711 A-law",
            "DTMF       RFC 4733 (also called RFC 2833, telephone-event)",
            "expires    120 seconds",
            "",
            "baresip, ~/.baresip/accounts:",
            baresip_account(city, operator, password),
            "",
            "linphonec, at its prompt:",
            f"register sip:{operator.number}@{host} "
            f"<sip:{host}:{port};transport={operator.transport}> {password}",
        ]
    )


def baresip_account(city: City, operator: Operator, password: str) -> str:
    """One line of baresip's `accounts` file."""
    tls = operator.transport is Transport.TLS
    port = city.network.sips_port if tls else city.network.sip_port
    host = _in_uri(city.network.sip_address)
    return (
        f"<sip:{operator.number}@{host}:{port};transport={operator.transport}>"
        f";auth_user={operator.number};auth_pass={password};regint=120"
        f";audio_codecs=pcma,pcmu;dtmfmode=rtpevent" + (";mediaenc=srtp" if tls else "")
    )


def _in_uri(address: str) -> str:
    return f"[{address}]" if ":" in address else address
