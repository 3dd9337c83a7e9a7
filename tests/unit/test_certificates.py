"""The rotation of the webhook's certificates, decided on values and carried out against real TLS handshakes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from poolbudget.act.authority import CHANGES, Held, Step, Validity, create, next_step
from poolbudget.webhook.tls import ServingCertificate

HOST = "poolbudget-webhook.poolbudget-system.svc"
HOSTS = (HOST,)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VALIDITY = Validity()
LONG = timedelta(hours=1)


def held_at(age: timedelta) -> Held:
    return create(HOSTS, NOW - age, VALIDITY)


def test_nothing_held_means_create() -> None:
    assert next_step(None, b"", LONG, NOW, VALIDITY) is Step.CREATE


def test_what_is_held_and_published_is_left_alone() -> None:
    held = held_at(timedelta())
    assert next_step(held, held.bundle, LONG, NOW, VALIDITY) is Step.REST


@pytest.mark.parametrize("published", [b"", b"somebody else's"], ids=["nothing", "something else"])
def test_trust_that_is_not_published_comes_first(published: bytes) -> None:
    held = held_at(timedelta(days=400))
    assert next_step(held, published, timedelta(), NOW, VALIDITY) is Step.PUBLISH


@pytest.mark.parametrize(
    ("age", "step"),
    [
        (timedelta(days=59, hours=23), Step.REST),
        (timedelta(days=60), Step.ISSUE_LEAF),
        (timedelta(days=243), Step.ISSUE_LEAF),
        (timedelta(days=244), Step.ADD_AUTHORITY),
        (timedelta(days=400), Step.ADD_AUTHORITY),
    ],
)
def test_each_certificate_is_replaced_after_two_thirds_of_its_life(age: timedelta, step: Step) -> None:
    held = held_at(age)
    assert next_step(held, held.bundle, timedelta(), NOW, VALIDITY) is step


def test_a_leaf_of_the_same_ca_needs_no_settling() -> None:
    held = held_at(timedelta(days=61))
    renewed = CHANGES[Step.ISSUE_LEAF](held, HOSTS, NOW, VALIDITY)
    assert renewed.authorities == held.authorities
    assert next_step(renewed, renewed.bundle, timedelta(), NOW, VALIDITY) is Step.REST


def test_a_rotation_takes_its_steps_in_order_and_settles_before_each_change_of_the_leaf() -> None:
    held = CHANGES[Step.ISSUE_LEAF](held_at(timedelta(days=244)), HOSTS, NOW, VALIDITY)
    published, unchanged = held.bundle, timedelta()
    steps = []
    while (step := next_step(held, published, unchanged, NOW, VALIDITY)) is not Step.REST or unchanged < LONG:
        steps.append(step)
        if step is Step.REST:
            unchanged = LONG
            continue
        unchanged = timedelta()
        if step is Step.PUBLISH:
            published = held.bundle
        else:
            held = CHANGES[step](held, HOSTS, NOW, VALIDITY)
        assert trusts(published, held), step
    assert steps == [
        Step.ADD_AUTHORITY,
        Step.PUBLISH,
        Step.REST,
        Step.ISSUE_LEAF,
        Step.REST,
        Step.DROP_AUTHORITIES,
        Step.PUBLISH,
        Step.REST,
    ]
    assert published == held.bundle
    assert len(held.authorities) == 1


def test_an_expired_leaf_is_replaced_without_settling_because_nobody_accepts_it_any_more() -> None:
    held = held_at(timedelta(days=400))
    held = CHANGES[Step.ADD_AUTHORITY](held, HOSTS, NOW, VALIDITY)
    assert next_step(held, held.bundle, timedelta(), NOW, VALIDITY) is Step.ISSUE_LEAF


def test_a_leaf_never_outlives_its_ca() -> None:
    held = create(HOSTS, NOW, replace(VALIDITY, authority=timedelta(days=10)))
    assert held.leaf.not_valid_after_utc == held.newest.not_valid_after_utc


def test_the_secret_holds_everything() -> None:
    held = CHANGES[Step.ADD_AUTHORITY](held_at(timedelta()), HOSTS, NOW, VALIDITY)
    assert Held.from_data(held.to_data()).to_data() == held.to_data()


@pytest.mark.parametrize("damage", [{"ca.key": b"no key"}, {"tls.crt": b""}, {"ca.crt": b"junk"}])
def test_a_damaged_secret_is_told_from_a_good_one(damage: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Held.from_data(held_at(timedelta()).to_data() | damage)


def trusts(bundle: bytes, held: Held) -> bool:
    return any(held.leaf.issuer == ca.subject for ca in x509.load_pem_x509_certificates(bundle))


async def test_every_handshake_succeeds_through_a_rotation_while_both_cas_are_trusted() -> None:
    old = create(HOSTS, datetime.now(UTC), VALIDITY)
    both = CHANGES[Step.ADD_AUTHORITY](old, HOSTS, datetime.now(UTC), VALIDITY)
    new = CHANGES[Step.ISSUE_LEAF](both, HOSTS, datetime.now(UTC), VALIDITY)
    certificate = ServingCertificate()
    load(certificate, old)
    async with echo_server(certificate.context) as port:
        assert await served(port, old.bundle) == old.leaf
        assert await served(port, both.bundle) == old.leaf
        load(certificate, new)
        assert await served(port, both.bundle) == new.leaf
        dropped = CHANGES[Step.DROP_AUTHORITIES](new, HOSTS, datetime.now(UTC), VALIDITY)
        assert await served(port, dropped.bundle) == new.leaf
        with pytest.raises(ssl.SSLCertVerificationError):
            await served(port, old.bundle)


async def test_an_open_connection_outlives_a_new_certificate() -> None:
    old, new = create(HOSTS, datetime.now(UTC), VALIDITY), create(HOSTS, datetime.now(UTC), VALIDITY)
    certificate = ServingCertificate()
    load(certificate, old)
    async with echo_server(certificate.context) as port:
        reader, writer = await open_tls(port, old.bundle)
        load(certificate, new)
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        writer.close()
        await writer.wait_closed()


def test_a_key_that_does_not_belong_to_the_certificate_changes_nothing() -> None:
    held, other = held_at(timedelta()), held_at(timedelta())
    certificate = ServingCertificate()
    with pytest.raises(ssl.SSLError):
        certificate.load(held.to_data()["tls.crt"], other.to_data()["tls.key"])
    assert not certificate.loaded.is_set()


def load(certificate: ServingCertificate, held: Held) -> None:
    data = held.to_data()
    certificate.load(data["tls.crt"], data["tls.key"])


@asynccontextmanager
async def echo_server(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def open_tls(port: int, bundle: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context(cadata=bundle.decode())
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)


async def served(port: int, bundle: bytes) -> x509.Certificate:
    _, writer = await open_tls(port, bundle)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(shown)
