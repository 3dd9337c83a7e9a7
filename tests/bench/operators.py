"""Operators that the benches measure: processes of this machine, under the operator's own service account.

So they get the same share of the processor as whoever sends requests beside them; a pod of a cluster that shares its
cores with everything else gets what its CPU request says.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.functional.cluster import kubectl
from tests.functional.faults.operators import PROGRAM
from tests.functional.space import OPERATOR_NAMESPACE

LEASE_SECONDS = 15
PATIENCE_SECONDS = 300
PODS = "app.kubernetes.io/name=poolbudget-operator"
COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""The environment of an operator that keeps its byte code, as the image does, also on machines that keep none."""

DEPLOYMENT = ("deployment/poolbudget-operator", "-n", OPERATOR_NAMESPACE)


@dataclass(frozen=True)
class Operator:
    """One operator process."""

    process: asyncio.subprocess.Process
    port: int

    async def watches(self) -> bool:
        """Whether it has listed the cluster: as a standby it can take over."""
        return await self._get("readyz") is not None

    async def committed(self) -> int:
        """Return what is committed at the servers that have had a complete round."""
        lines = (await self._get("metrics") or "").splitlines()
        figures = [line.split()[-1] for line in lines if line.startswith("poolbudget_committed_connections{")]
        return round(sum(map(float, figures)))

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> float:
        """Return when the condition held first, on the monotonic clock."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await condition():
                if self.process.returncode is not None:
                    raise RuntimeError(f"the operator has ended with {self.process.returncode}")
                await asyncio.sleep(0.05)
        return time.monotonic()

    def used(self) -> tuple[float, float, float]:
        """Return its processor seconds, its memory and the most that it ever had (MB)."""
        proc = Path(f"/proc/{self.process.pid}")
        user, system = (proc / "stat").read_text().rpartition(")")[2].split()[11:13]
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        memory, peak = (int(status[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"), memory, peak

    async def stop(self) -> None:
        """End it as Kubernetes does: it gives the lease up."""
        self.process.terminate()
        await self.process.wait()

    async def _get(self, path: str) -> str | None:
        try:
            async with aiohttp.request("GET", f"http://127.0.0.1:{self.port}/{path}") as answer:
                return await answer.text() if answer.status == 200 else None
        except aiohttp.ClientError:
            return None


async def start(config: Path) -> Operator:
    """Start an operator."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = [f"--namespace={OPERATOR_NAMESPACE}", f"--kubeconfig={config}", f"--health-port={port}"]
    words = ["operator", *where, f"--lease-duration={LEASE_SECONDS}s"]
    with config.with_suffix(f".{port}.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(PROGRAM, *words, env=COMPILED, stdout=output, stderr=output)
    return Operator(process, port)


@asynccontextmanager
async def running(config: Path) -> AsyncIterator[Operator]:
    """Let an operator run."""
    operator = await start(config)
    try:
        yield operator
    finally:
        await operator.stop()


@asynccontextmanager
async def resting() -> AsyncIterator[None]:
    """No operator runs in the cluster."""
    replicas = kubectl("get", *DEPLOYMENT, "-o", "jsonpath={.spec.replicas}").stdout
    kubectl("scale", *DEPLOYMENT, "--replicas=0")
    kubectl("wait", "pod", "-n", OPERATOR_NAMESPACE, "-l", PODS, "--for=delete", "--timeout=60s")
    try:
        yield
    finally:
        kubectl("scale", *DEPLOYMENT, f"--replicas={replicas}")
