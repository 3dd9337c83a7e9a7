"""Operators as processes of this machine, in place of those in the cluster: tests can do to them what they like.

They work under the operator's own service account: what its RBAC does not allow fails here too.
"""

import asyncio
import json
import os
import signal
import ssl
import sys
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poolbudget.kube import Kube
from tests.functional.cluster import kubectl
from tests.functional.space import OPERATOR_NAMESPACE

PROGRAM = Path(sys.executable).with_name("poolbudget")
LEASE_SECONDS = 3
SETTLE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API server as the operator."""

    server: str
    authority: str
    token: str

    @property
    def tls(self) -> ssl.SSLContext:
        """What the API server's certificate is checked with."""
        return ssl.create_default_context(cadata=self.authority)

    def kubeconfig(self, path: Path, server: str) -> Path:
        """Write a kubeconfig for the API server itself, or for a proxy of it."""
        cluster: dict[str, Any] = {"server": server}
        if server == self.server:
            path.with_suffix(".crt").write_text(self.authority)
            cluster["certificate-authority"] = str(path.with_suffix(".crt"))
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "operator", "user": {"token": self.token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "operator"}}],
            "current-context": "tests",
        }
        path.write_text(json.dumps(config))
        return path


async def access_as_operator(kube: Kube) -> Access:
    """Ask for a token of the operator's service account; the rest is as kubectl has it."""
    account = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/serviceaccounts/poolbudget-operator/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = (await kube.post(account, request))["status"]["token"]
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json").stdout)
    cluster = config["clusters"][0]["cluster"]
    return Access(cluster["server"], b64decode(cluster["certificate-authority-data"]).decode(), token)


@dataclass(frozen=True, slots=True)
class Operator:
    """One running operator."""

    process: asyncio.subprocess.Process
    log: Path

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = 20) -> int:
        """Wait until the process has ended, and return its exit code."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self.send(signal.SIGKILL)
        await self.ended()


class Operators:
    """Starts operators for one test and stops those that are left at its end."""

    def __init__(self, access: Access, folder: Path) -> None:
        self._access, self._folder = access, folder
        self._started: list[Operator] = []

    async def start(self, server: str = "", *flags: str) -> Operator:
        """Start an operator that reaches the API server by the URL `server`, by default directly."""
        number = len(self._started)
        config = self._access.kubeconfig(self._folder / f"operator-{number}.kubeconfig", server or self._access.server)
        log = self._folder / f"operator-{number}.log"
        timers = [f"--lease-duration={LEASE_SECONDS}s", f"--settle-time={SETTLE_SECONDS}s", "--health-port=0"]
        where = [f"--namespace={OPERATOR_NAMESPACE}", f"--kubeconfig={config}"]
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                PROGRAM, "operator", *where, *timers, *flags, stdout=output, stderr=output, env=dict(os.environ)
            )
        self._started.append(Operator(process, log))
        return self._started[-1]

    async def stop_all(self) -> None:
        """End what still runs, and print what all have logged, for the report of a failed test."""
        for number, operator in enumerate(self._started):
            if operator.process.returncode is None:
                operator.send(signal.SIGTERM)
                await operator.ended()
            print(f"--- operator {number}, exit code {operator.process.returncode}\n{operator.log.read_text()}")
