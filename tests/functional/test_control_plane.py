"""kube-apiserver and etcd are killed under load: nothing is granted twice, and all goes on once they are back."""

import asyncio
import random
from functools import partial
from typing import Any

import pytest

from poolbudget.kube import ApiError
from tests.functional.cluster import budget, eventually, is_admitting, kubectl
from tests.functional.invariant import never_more_than
from tests.functional.manifests import deployment
from tests.functional.space import OPERATOR_NAMESPACE, Raw, Space
from tests.functional.vanished import forget_the_vanished

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}
FOUR_PODS = {"name": "api", "processes": 1, "maxPods": 4}

KILL = """
import os, pathlib, signal, sys, time

def name_of(process):
    try:
        return (process / "comm").read_text().strip()
    except OSError:  # it has ended meanwhile
        return ""

def running(name):
    return {int(process.name) for process in pathlib.Path("/proc").glob("[0-9]*") if name_of(process) == name}

victims = running(sys.argv[1])
for pid in victims:
    os.kill(pid, signal.SIGKILL)
while not running(sys.argv[1]) - victims:
    time.sleep(0.1)
sys.exit(not victims)
"""
"""Kills a process of its node by its id, and ends once another has taken its place."""


@pytest.fixture
def throwaway_cluster() -> None:
    """Only a kind cluster is ours to break."""
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].spec.providerID}").stdout
    if not node.startswith("kind://"):
        pytest.skip("this cluster was not made for tests: its control plane is left alone")


@pytest.mark.usefixtures("throwaway_cluster")
async def test_the_control_plane_is_killed_under_load(space: Space) -> None:
    async with never_more_than(space, 20) as peaks:
        await space.apply(budget(space.name, FOUR_PODS, **TWENTY), deployment("api", 3))
        await space.until_pods("api", granted=3)
        load = asyncio.create_task(scale_at_random(space, seed=7))
        try:
            for victim in ("kube-apiserver", "etcd"):
                await asyncio.to_thread(
                    eventually, partial(is_applied, space.name, killer(victim)), "a pod can be made", 60
                )
                await asyncio.to_thread(
                    eventually, partial(is_killed, space.name, victim), f"{victim} is replaced", 120
                )
            await asyncio.to_thread(eventually, is_whole, "the cluster is whole again", 180)
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        await space.scale("Deployment", "api", 6)
        await forget_the_vanished(space, wanted=6)
        *granted, _, _ = await space.until_pods("api", granted=4, waiting=2, seconds=60)
        assert (await space.ledger()).keys() == {pod["metadata"]["uid"] for pod in granted}
        assert peaks.moments > 10


async def scale_at_random(space: Space, seed: int) -> None:
    """Scale the Deployment up and down for ever; what the API server does not take is left out."""
    chance = random.Random(seed)
    while True:
        try:
            await space.scale("Deployment", "api", chance.randrange(7))
        except ApiError:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)


def killer(victim: str) -> Raw:
    """Return a pod that sees the processes of its node."""
    container = {
        "name": "killer",
        "image": "poolbudget/example:dev",
        "command": ["python", "-c", KILL, victim],
        "securityContext": {"runAsUser": 0, "runAsNonRoot": False},
    }
    where = {
        "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
        "tolerations": [{"operator": "Exists"}],
        "hostPID": True,
    }
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container], **where}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"kill-{victim}"}, "spec": spec}


def is_applied(namespace: str, manifest: Raw) -> bool:
    return kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest, check=False).returncode == 0


def is_killed(namespace: str, victim: str) -> bool:
    """Whether the pod that was to kill it has seen another in its place."""
    phase = ("get", "pod", f"kill-{victim}", "-n", namespace, "-o", "jsonpath={.status.phase}")
    return kubectl(*phase, check=False).stdout == "Succeeded"


def is_whole() -> bool:
    """Whether the control plane is ready, an operator leads again or stands by, and pods are admitted."""
    wait = ("wait", "--timeout=1s", "-n")
    return (
        kubectl("get", "--raw", "/readyz", check=False).stdout == "ok"
        and kubectl(*wait, "kube-system", "pods", "--all", "--for=condition=Ready", check=False).returncode == 0
        and kubectl(*wait, OPERATOR_NAMESPACE, "deploy", "--all", "--for=condition=Available", check=False).returncode
        == 0
        and is_admitting()
    )
