"""What the operator makes of a server that cannot be read; the test's own server does what Postgres rarely does."""

import asyncio
import base64
import struct
from typing import Any, cast

import pytest

from poolbudget.api.v1alpha1 import Database
from poolbudget.kube import Kube
from poolbudget.observe.database import Monitor
from poolbudget.observe.login import Unobservable


def message(kind: bytes, body: bytes) -> bytes:
    """Return a message of the server (https://www.postgresql.org/docs/current/protocol-message-formats.html)."""
    return kind + struct.pack("!i", len(body) + 4) + body


LET_IN = message(b"R", struct.pack("!i", 0)) + message(b"S", b"server_version\x0017.0\0") + message(b"Z", b"I")
ENDED = message(b"E", b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0")


class Secrets:
    """The API server, as far as it is asked."""

    async def get(self, _: str) -> dict[str, Any]:
        return {"data": {key: base64.b64encode(b"any").decode() for key in ("username", "password")}}


async def test_a_session_that_is_ended_before_its_next_query_leaves_the_server_unobservable() -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        await reader.readexactly(length - 4)
        writer.write(LET_IN + ENDED)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(end, "127.0.0.1", 0) as server:
        database = Database.model_validate(
            {
                "host": "127.0.0.1",
                "port": server.sockets[0].getsockname()[1],
                "credentialsSecretRef": {"name": "monitor"},
                "tls": {"mode": "Disable"},
            }
        )
        monitor = Monitor(cast("Kube", Secrets()), "default", database)
        with pytest.raises(Unobservable, match="another operation") as raised:
            await monitor.read()
    assert raised.value.reason == "Unreachable"


@pytest.mark.parametrize("text", ["no certificate", "# Autorit\u00e9\n"])
async def test_an_authority_that_is_none_is_named(text: str) -> None:
    class Authority(Secrets):
        async def get(self, path: str) -> dict[str, Any]:
            return {"data": {**(await super().get(path))["data"], "ca.crt": base64.b64encode(text.encode()).decode()}}

    tls = {"mode": "VerifyFull", "caSecretRef": {"name": "authority"}}
    fields = {"host": "127.0.0.1", "credentialsSecretRef": {"name": "monitor"}, "tls": tls}
    monitor = Monitor(cast("Kube", Authority()), "default", Database.model_validate(fields))
    with pytest.raises(Unobservable, match=r"ca\.crt of the Secret authority holds no PEM certificate") as raised:
        await monitor.read()
    assert raised.value.reason == "SecretInvalid"
