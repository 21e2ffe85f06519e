"""The phones' TLS certificate: self-signed until the city brings its own."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CERTIFICATE = "certificate.pem"
KEY = "key.pem"

_VALID = timedelta(days=730)
_RENEW_BEFORE = timedelta(days=30)
_ISSUER = "Gerbang112 self-signed"
"""Tells our certificates from the city's own, which are never touched."""


def ensure_certificate(
    directory: Path, hosts: Sequence[str], *, now: datetime | None = None
) -> bool:
    """Make `certificate.pem` and `key.pem` unless good ones are there; True if made.

    `hosts` are the names and addresses phones reach us by. One of our own is renewed 30
    days before its end or when `hosts` change; a foreign one stays, whatever its date.
    """
    now = now or datetime.now(UTC)
    if _is_good(directory / CERTIFICATE, hosts, now) and (directory / KEY).exists():
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ISSUER)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(parents=True, exist_ok=True)
    _write(
        directory / KEY,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    _write(
        directory / CERTIFICATE,
        certificate.public_bytes(serialization.Encoding.PEM),
    )
    return True


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _is_good(path: Path, hosts: Sequence[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    issuer = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    if [name.value for name in issuer] != [_ISSUER]:
        return True
    extension = certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return certificate.not_valid_after_utc - now > _RENEW_BEFORE and list(
        extension.value
    ) == _names(hosts)


def _write(path: Path, content: bytes) -> None:
    scratch = path.with_suffix(".tmp")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
