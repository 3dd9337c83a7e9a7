"""Nodes that only pretend: kwok keeps them alive and says that their pods run, which then cost no processes.

    python -m tests.bench.kwok  # builds it, once for each machine: `make bench` does so, outside the cluster's network

`bench_restart` uses `nodes` for a cluster with many pods.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from poolbudget.kube import Kube
from tests.cluster.tools import go_command

KWOK = "sigs.k8s.io/kwok/cmd/kwok@v0.7.0"
MARK = "kwok.x-k8s.io/node"
NODES = "/api/v1/nodes"


@asynccontextmanager
async def nodes(kube: Kube, names: list[str]) -> AsyncIterator[None]:
    """Let nodes of these names exist, and kwok play their kubelets."""
    selector = f"--manage-nodes-with-annotation-selector={MARK}=fake"
    config = f"--kubeconfig={os.environ['KUBECONFIG']}"
    options = [config, "--manage-all-nodes=false", selector, "--cidr=10.128.0.0/14", "--node-lease-duration-seconds=40"]
    process = await asyncio.create_subprocess_exec(
        go_command(KWOK), *options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for name in names:
            await kube.post(NODES, _node(name))
        yield
    finally:
        for name in names:
            await kube.delete(f"{NODES}/{name}")
        process.terminate()
        await process.wait()


def _node(name: str) -> dict[str, object]:
    """Return a node without an operating system: DaemonSets leave it out."""
    metadata = {"name": name, "annotations": {MARK: "fake"}, "labels": {"type": "kwok"}}
    room = {"cpu": "1k", "memory": "1Ti", "pods": "2k"}
    taint = {"key": MARK, "value": "fake", "effect": "NoSchedule"}
    spec = {"taints": [taint]}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": spec,
        "status": {"capacity": room, "allocatable": room},
    }


if __name__ == "__main__":
    go_command(KWOK)
