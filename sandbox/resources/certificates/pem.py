"""What a certificate in PEM says, and whether chain and key belong to it. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from sandbox.errors import invalid_input

BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Contents:
    """Of the first certificate, which is the one that servers show."""

    fingerprint: str
    not_valid_before: datetime
    not_valid_after: datetime
    domain_names: list[str]


def read(certificate: str, private_key: str) -> Contents:
    """Raises invalid_input, naming the field at fault."""
    chain = read_chain(certificate)
    if read_public_key(private_key) != public_bytes(chain[0]):
        raise invalid_input(("private_key", "is not the key of the certificate"))
    first = chain[0]
    digest = hashlib.sha256(first.public_bytes(Encoding.DER)).hexdigest()
    return Contents(
        fingerprint=":".join(digest[i : i + 2] for i in range(0, len(digest), 2)),
        not_valid_before=first.not_valid_before_utc,
        not_valid_after=first.not_valid_after_utc,
        domain_names=domain_names(first),
    )


def read_chain(text: str) -> list[x509.Certificate]:
    """Every certificate, each certified by the next. Raises invalid_input."""
    try:
        chain = [x509.load_pem_x509_certificate(block.encode()) for block in BLOCK.findall(text)]
    except ValueError as error:
        raise invalid_input(("certificate", "is not a certificate in PEM format")) from error
    if not chain or BLOCK.sub("", text).strip():
        raise invalid_input(("certificate", "must be certificates in PEM format and nothing else"))
    for lower, upper in pairwise(chain):
        require_issued(lower, upper)
    return chain


def require_issued(lower: x509.Certificate, upper: x509.Certificate) -> None:
    """Raises invalid_input where one does not certify the one before it."""
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature) as error:
        message = f"'{upper.subject.rfc4514_string()}' does not certify the certificate before it"
        raise invalid_input(("certificate", message)) from error


def read_public_key(private_key: str) -> bytes:
    """The public half. Raises invalid_input."""
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise invalid_input(("private_key", "is not a private key in PEM format without a password")) from error
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_bytes(certificate: x509.Certificate) -> bytes:
    """The key that it is about."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def domain_names(certificate: x509.Certificate) -> list[str]:
    """Its alternative names; the common name of one that has none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [str(name) for name in names.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return [str(item.value) for item in common]
