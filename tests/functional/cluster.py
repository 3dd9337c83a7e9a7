"""What the functional tests do with the cluster: kubectl as it is in the environment, and waiting for conditions."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
DEPLOY = Path(__file__).parent / "deploy"
POOLBUDGET = Path(sys.executable).with_name("poolbudget")
SYSTEM = ("-n", "poolbudget-system")
GATE = {"name": "poolbudget.dev/grant"}


def kubectl(*args: str, stdin: Mapping[str, Any] | str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run kubectl; `stdin` may be a manifest. Raises AssertionError with what kubectl said, unless `check` is False."""
    text = stdin if isinstance(stdin, str) else json.dumps(stdin)
    done = subprocess.run(["kubectl", *args], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"kubectl {' '.join(args)}: {done.stderr}"
    return done


async def poolbudget(*args: str) -> str:
    """Run a command of ours as a user would; return what it says."""
    command = await asyncio.create_subprocess_exec(
        POOLBUDGET, *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await command.communicate()
    return said.decode()


def get(*args: str) -> dict[str, Any]:
    """Return an object as JSON."""
    found: dict[str, Any] = json.loads(kubectl("get", *args, "-o", "json").stdout)
    return found


def create(manifest: Mapping[str, Any], *args: str) -> dict[str, Any]:
    """Create an object and return it as the API server made it."""
    created: dict[str, Any] = json.loads(kubectl("create", "-f", "-", "-o", "json", *args, stdin=manifest).stdout)
    return created


def eventually(ask: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Ask until the answer is truthy, and return it; fail with the last answer when time is up."""
    until = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}; last answer: {answer!r}"
        time.sleep(0.2)
    return answer


def budget(namespace: str, *workloads: dict[str, Any], name: str = "orders", **spec: Any) -> dict[str, Any]:
    """Return a PoolBudget, by default with a workload `api` of one process and one pod."""
    api = {"name": "api", "processes": 1, "maxPods": 1}
    return {
        "apiVersion": "poolbudget.dev/v1alpha1",
        "kind": "PoolBudget",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"maxConnections": 50, "workloads": list(workloads) or [api], **spec},
    }


def pod(namespace: str, name: str = "api-1", **changes: Any) -> dict[str, Any]:
    """Return a pod of workload `api` of budget `orders`; `changes` go into `metadata`, or else into `spec`."""
    labels = {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api"}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    metadata |= {key: changes.pop(key) for key in ("labels", "annotations") if key in changes}
    container = {"name": "app", "image": "poolbudget/example:dev", "command": ["sleep", "600"]}
    spec = {
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [container],
        **changes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def install() -> None:
    """Apply the project's manifests with short timers, start its newest image, and wait until pods are admitted."""
    kubectl("apply", "-k", str(DEPLOY))
    kubectl(*SYSTEM, "rollout", "restart", "deployment")
    for name in ("poolbudget-operator", "poolbudget-webhook"):
        kubectl(*SYSTEM, "rollout", "status", f"deployment/{name}", "--timeout=120s")
    eventually(is_admitting, "a labelled pod comes back gated")


@contextmanager
def operator_away() -> Iterator[None]:
    """Meanwhile no operator runs in the cluster; the webhook does."""
    operator = "deployment/poolbudget-operator"
    pods = ("pods", "-l", "app.kubernetes.io/name=poolbudget-operator")
    replicas = kubectl("get", *SYSTEM, operator, "-o", "jsonpath={.spec.replicas}").stdout
    kubectl("scale", *SYSTEM, operator, "--replicas=0")
    try:
        kubectl("wait", *SYSTEM, *pods, "--for=delete", "--timeout=60s")
        yield
    finally:
        kubectl("scale", *SYSTEM, operator, f"--replicas={replicas}")
        kubectl("rollout", "status", *SYSTEM, operator, "--timeout=120s")


def is_admitting() -> bool:
    """Whether webhook and guard are in force."""
    probe = pod("default", "probe")
    created = kubectl("create", "-f", "-", "--dry-run=server", "-o", "json", stdin=probe, check=False)
    own = probe | {"metadata": {**probe["metadata"], "annotations": {"poolbudget.dev/mode": "Direct"}}}
    refused = kubectl("create", "-f", "-", "--dry-run=server", stdin=own, check=False)
    gated = created.returncode == 0 and GATE in json.loads(created.stdout)["spec"].get("schedulingGates", [])
    return gated and refused.returncode != 0
