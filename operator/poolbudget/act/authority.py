"""Certificates of the webhook and of poolers as values: what is held, and which step is next. No I/O; time comes in.

`act.certificates` (webhook) and `act.pooler_secret` read what is held, ask `next_step`, and carry the step out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Hosts = tuple[str, ...]
"""DNS names of one server, the first of which is its common name."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far a clock may be behind ours and still accept what was just issued."""


@dataclass(frozen=True, slots=True)
class Validity:
    """How long certificates are valid; each is replaced after two thirds of it.

    `settle` is how long a change takes to reach every API server and every replica of the webhook.
    """

    authority: timedelta = timedelta(days=365)
    leaf: timedelta = timedelta(days=90)
    settle: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Held:
    """The Secret's content.

    `authorities` are the trusted CAs, oldest first; `key` belongs to the newest. While a CA is replaced, `leaf` is
    still of an older one.
    """

    authorities: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey
    leaf: x509.Certificate
    leaf_key: ec.EllipticCurvePrivateKey

    @property
    def newest(self) -> x509.Certificate:
        """The CA that issues."""
        return self.authorities[-1]

    @property
    def bundle(self) -> bytes:
        """All trusted CAs as PEM: what `caBundle` of the webhook's configuration has to hold."""
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in self.authorities)

    @property
    def leaf_is_of_newest(self) -> bool:
        """Whether the newest CA issued the leaf."""
        return self.leaf.extensions.get_extension_for_class(
            x509.AuthorityKeyIdentifier
        ).value.key_identifier == _key_identifier(self.newest)

    def to_data(self) -> dict[str, bytes]:
        """Return the Secret's data."""
        return {
            "tls.crt": self.leaf.public_bytes(serialization.Encoding.PEM),
            "tls.key": _pem(self.leaf_key),
            "ca.crt": self.bundle,
            "ca.key": _pem(self.key),
        }

    @classmethod
    def from_data(cls, data: dict[str, bytes]) -> Self:
        """Read the Secret's data. Raises ValueError or KeyError where it is not what `to_data` wrote."""
        return cls(
            authorities=tuple(x509.load_pem_x509_certificates(data["ca.crt"])),
            key=_load_key(data["ca.key"]),
            leaf=x509.load_pem_x509_certificate(data["tls.crt"]),
            leaf_key=_load_key(data["tls.key"]),
        )


class Step(Enum):
    """What to do next. The order of a rotation is: ADD_AUTHORITY, PUBLISH, ISSUE_LEAF, DROP_AUTHORITIES, PUBLISH."""

    CREATE = auto()
    PUBLISH = auto()
    ADD_AUTHORITY = auto()
    ISSUE_LEAF = auto()
    DROP_AUTHORITIES = auto()
    REST = auto()


def next_step(held: Held | None, published: bytes, unchanged: timedelta, now: datetime, validity: Validity) -> Step:
    """Return the one step that is due.

    `published` is the `caBundle` as the API server shows it; `unchanged` is for how long both it and the Secret have
    been seen as they are. The webhook changes to a leaf of a new CA only after that CA has been trusted for `settle`,
    and a CA is dropped only `settle` after its last leaf was replaced: no leaf is ever served that is not trusted.
    """
    if held is None:
        return Step.CREATE
    if published != held.bundle:
        return Step.PUBLISH
    settled = unchanged >= validity.settle or held.leaf.not_valid_after_utc <= now
    if _due(held.newest, now):
        return Step.ADD_AUTHORITY
    if not held.leaf_is_of_newest:
        return Step.ISSUE_LEAF if settled else Step.REST
    if _due(held.leaf, now):
        return Step.ISSUE_LEAF
    if len(held.authorities) > 1 and settled:
        return Step.DROP_AUTHORITIES
    return Step.REST


def create(hosts: Hosts, now: datetime, validity: Validity) -> Held:
    """Return a CA and a leaf for the DNS names `hosts`, where nothing is trusted yet."""
    key = _new_key()
    authority = _authority(key, now, validity)
    leaf, leaf_key = _leaf(authority, key, hosts, now, validity)
    return Held((authority,), key, leaf, leaf_key)


def add_authority(held: Held, _hosts: Hosts, now: datetime, validity: Validity) -> Held:
    """Return a further CA beside those held; the leaf stays."""
    key = _new_key()
    return replace(held, authorities=(*held.authorities, _authority(key, now, validity)), key=key)


def issue_leaf(held: Held, hosts: Hosts, now: datetime, validity: Validity) -> Held:
    """Return a new leaf, of the newest CA."""
    leaf, leaf_key = _leaf(held.newest, held.key, hosts, now, validity)
    return replace(held, leaf=leaf, leaf_key=leaf_key)


def drop_authorities(held: Held, _hosts: Hosts, _now: datetime, _validity: Validity) -> Held:
    """Return only the newest CA."""
    return replace(held, authorities=(held.newest,))


CHANGES: dict[Step, Callable[[Held, Hosts, datetime, Validity], Held]] = {
    Step.ADD_AUTHORITY: add_authority,
    Step.ISSUE_LEAF: issue_leaf,
    Step.DROP_AUTHORITIES: drop_authorities,
}
"""The steps that change what is held."""


def _due(certificate: x509.Certificate, now: datetime) -> bool:
    issued = certificate.not_valid_before_utc + CLOCK_SKEW
    return now >= issued + (certificate.not_valid_after_utc - issued) * 2 / 3


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime, validity: Validity) -> x509.Certificate:
    # Every CA has a subject of its own: with equal subjects a verifier may try the wrong one only.
    name = _name(f"poolbudget CA {now:%Y-%m-%dT%H:%M:%S.%fZ}")
    builder = _builder(name, name, key, now, now + validity.authority)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(key, hashes.SHA256())


def _leaf(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    hosts: Hosts,
    now: datetime,
    validity: Validity,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = _new_key()
    ends = min(now + validity.leaf, authority.not_valid_after_utc)
    builder = _builder(_name(hosts[0][:64]), authority.subject, key, now, ends)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(authority=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
    )
    return builder.sign(authority_key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(ends)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_identifier(authority: x509.Certificate) -> bytes:
    return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.key_identifier


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic-curve key")
    return key
