"""The certificate that the webhook serves, exchanged while it serves.

The leading operator writes it to a Secret (`act.certificates`). It is read by name through the API, because a mounted
Secret takes a minute or more to follow. Open connections keep the certificate they began with.
"""

import asyncio
import base64
import binascii
import logging
import os
import ssl

from poolbudget.kube import ApiError, Kube

log = logging.getLogger(__name__)

SECRET_NAME = "poolbudget-webhook-tls"  # noqa: S105 - the name of an object
POLL_SECONDS = 2.0


class ServingCertificate:
    """A server's TLS context whose certificate can be replaced. `loaded` is set once it has one."""

    def __init__(self) -> None:
        self.context = _context()
        self.loaded = asyncio.Event()
        self._current: tuple[bytes, bytes] | None = None

    def load(self, certificate: bytes, key: bytes) -> None:
        """Serve this PEM certificate from the next handshake on. Raises ssl.SSLError, and then nothing has changed."""
        if (certificate, key) == self._current:
            return
        _load(_context(), certificate, key)
        _load(self.context, certificate, key)
        self._current = (certificate, key)
        self.loaded.set()
        log.info("serving a new certificate")

    async def follow(self, kube: Kube, namespace: str) -> None:
        """Load whatever the Secret holds, for ever; ends only by cancellation. A problem is logged once."""
        path = f"/api/v1/namespaces/{namespace}/secrets/{SECRET_NAME}"
        problem = ""
        while True:
            try:
                data = (await kube.get(path)).get("data") or {}
                self.load(base64.b64decode(data["tls.crt"]), base64.b64decode(data["tls.key"]))
                problem = ""
            except (ApiError, KeyError, binascii.Error, ssl.SSLError) as error:
                if str(error) != problem:
                    problem = str(error)
                    log.warning("no usable certificate in Secret %s/%s: %s", namespace, SECRET_NAME, problem)
            await asyncio.sleep(POLL_SECONDS)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """`ssl` reads certificates from files only: this one never reaches a disk."""
    descriptor = os.memfd_create("certificate")
    with os.fdopen(descriptor, "wb") as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
