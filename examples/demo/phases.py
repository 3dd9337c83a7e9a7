"""The parts of the demo, in the order in which `__main__` runs them. Every wait is for a condition."""

import json
import time
from pathlib import Path
from typing import Any

from examples.demo.console import NAMESPACE, PATIENCE, DemoError, kubectl, say, start, step
from examples.demo.outcome import Measurement, measurement, waits_of
from examples.demo.watch import watching

HERE = Path(__file__).parent
DEPLOY = HERE.parents[1] / "deploy"
SYSTEM_NAMESPACE = "poolbudget-system"
SYSTEM = ("deployment/poolbudget-operator", "deployment/poolbudget-webhook")
WORKLOADS = ("api", "worker")
LOADS = ("load-api", "load-worker")
REPLICAS = 4  # of the api, after the scale-out
LEAST_SECONDS = 40.0  # of load in each phase, so that the two can be compared
REFUSALS = ("sorry, too many clients already", "remaining connection slots are reserved")


def install() -> None:
    """Install the operator unless it is there, and wait until it and the webhook are available."""
    if kubectl("get", *SYSTEM, "--ignore-not-found", "--output=name", namespace=SYSTEM_NAMESPACE).count("\n") < len(
        SYSTEM
    ):
        with step("install the operator and the webhook (kubectl apply -k deploy)"):
            kubectl("apply", "--server-side", f"--kustomize={DEPLOY}", namespace=SYSTEM_NAMESPACE)
    with step("wait until the operator and the webhook are available"):
        for deployment in SYSTEM:
            kubectl("wait", "--for=jsonpath={.status.readyReplicas}", deployment, PATIENCE, namespace=SYSTEM_NAMESPACE)


def clear() -> None:
    """Remove the namespace of the demo with everything in it."""
    if kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name"):
        with step(f"remove the namespace {NAMESPACE}"):
            # What runs goes first: a namespace comes back to pods that end slowly only after half a minute.
            kubectl("delete", "deployments,statefulsets,pods", "--all", "--cascade=foreground", PATIENCE)
            kubectl("delete", "namespace", NAMESPACE, PATIENCE)


def start_without_budget() -> None:
    """Start Postgres and both workloads as they were before anybody thought of a budget."""
    with step("start Postgres 17 with max_connections 60, the api (uvicorn, 2 workers) and a worker (gunicorn, 3)"):
        kubectl("apply", f"--kustomize={HERE}/base")
        kubectl("rollout", "status", "statefulset/orders-db", PATIENCE)
        _wait_for_workloads()


def adopt() -> None:
    """Put both workloads under the budget the safe way: scale to zero, add labels and budget, scale up again."""
    with step("scale both workloads to zero, so that no pod without a grant is left"):
        kubectl("scale", "--replicas=0", *(f"deployment/{name}" for name in WORKLOADS))
        kubectl("wait", "--for=delete", "pod", f"--selector=app in ({','.join(WORKLOADS)})", PATIENCE)
    with step("apply the PoolBudget and two labels on each pod template, and wait until every pod has its grant"):
        kubectl("apply", f"--kustomize={HERE}/budget")
        _wait_for_workloads()
        kubectl("wait", "--for=condition=Ready", "poolbudget/orders-db", PATIENCE)
    for pod, connections in _grants():
        say(f"  {pod} was granted {connections or 'nothing'}")
        if not connections:
            raise DemoError(f"pod {pod} runs without a grant: the webhook did not see it")


def measure() -> Measurement:
    """Run the load and the sampler; meanwhile scale the api out and roll it over."""
    refused_before = _refused_logins()
    with watching() as sightings:
        _start("sampler", "sampler.yaml")
        begun = time.monotonic()
        _start(" and ".join(LOADS), "load.yaml")
        with step(f"scale the api from 1 to {REPLICAS} pods under load"):
            kubectl("scale", f"--replicas={REPLICAS}", "deployment/api")
            _wait_for_workloads()
        with step("rolling update of the api under load"):
            old = kubectl("get", "pods", "--selector=app=api", "--output=name").split()
            kubectl("rollout", "restart", "deployment/api")
            _wait_for_workloads()
            kubectl("wait", "--for=delete", *old, PATIENCE)
        with step(f"end the load, after at least {LEAST_SECONDS:.0f} s"):
            time.sleep(max(0.0, begun + LEAST_SECONDS - time.monotonic()))
            loads = _stop(*LOADS)
            seconds = time.monotonic() - begun
            [sampler] = _stop("sampler")
    return measurement(
        seconds=seconds,
        loads=loads,
        sampler=sampler,
        refused_logins=_refused_logins() - refused_before,
        waits=waits_of(sightings),
    )


def _wait_for_workloads() -> None:
    for name in WORKLOADS:
        kubectl("rollout", "status", f"deployment/{name}", PATIENCE)


def _grants() -> list[tuple[str, str | None]]:
    pods = json.loads(kubectl("get", "pods", f"--selector=app in ({','.join(WORKLOADS)})", "--output=json"))["items"]
    return [
        (pod["metadata"]["name"], pod["metadata"].get("annotations", {}).get("poolbudget.dev/connections"))
        for pod in pods
    ]


def _start(what: str, manifest: str) -> None:
    """Start measuring pods and wait until each has said its first word: it has begun."""
    with step(f"start {what}"):
        created = kubectl("apply", f"--filename={HERE}/measure/{manifest}", "--output=name").split()
        kubectl("wait", "--for=jsonpath={.status.phase}=Running", *created, PATIENCE)
        for pod in created:
            with start("logs", "--follow", pod) as logs:
                line = logs.stdout.readline() if logs.stdout else ""
                logs.terminate()
            if not line.endswith("begun\n"):
                raise DemoError(f"{pod} did not begin: {line.strip() or 'it ended without a word'}")


def _stop(*pods: str) -> list[dict[str, Any]]:
    """End measuring pods; return what each printed last."""
    for pod in pods:
        kubectl("exec", pod, "--", "sh", "-c", "kill -TERM 1")
    names = [f"pod/{pod}" for pod in pods]
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", *names, PATIENCE)
    printed = [json.loads(kubectl("logs", "--tail=1", name)) for name in names]
    kubectl("delete", *names, PATIENCE)
    return printed


def _refused_logins() -> int:
    lines = kubectl("logs", "statefulset/orders-db").splitlines()
    return sum(any(text in line for text in REFUSALS) for line in lines)
