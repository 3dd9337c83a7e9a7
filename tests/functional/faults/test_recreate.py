"""Update mode Recreate: labels are added, workloads are rolled one after another, and nothing is fought over."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from poolbudget.kube import APPLY_PATCH
from tests.functional.cluster import budget, kubectl
from tests.functional.faults.operators import Operators
from tests.functional.manifests import controller, template
from tests.functional.space import Raw, Space, connections

FORTY: dict[str, Any] = {"maxConnections": 40, "reservedConnections": 0, "updateMode": "Recreate"}
API = {"name": "api", "processes": 1, "maxPods": 2}
WORKER = {
    "name": "worker",
    "processes": 1,
    "maxPods": 2,
    "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "worker"},
}
ROLLING = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
BUDGET_LABEL, RESTARTED = "poolbudget.dev/budget", "poolbudget.dev/restarted-at"


@pytest.fixture(autouse=True)
async def operator(operators: Operators) -> None:
    await operators.start("", "--cooldown=1s")


def unlabelled(**annotations: str) -> Raw:
    """Return a Deployment of running pods whose template knows nothing of PoolBudget."""
    pods = template("api", parked=False)
    pods["metadata"] = {"labels": {"app": "api"}, "annotations": annotations}
    return controller("Deployment", "api", 2, pods)


async def test_an_unlabelled_deployment_gets_its_labels_and_its_pods_their_grants(space: Space) -> None:
    await space.apply(unlabelled())
    kubectl("rollout", "status", "-n", space.name, "deployment/api", "--timeout=60s")
    await space.apply(budget(space.name, API, **FORTY))
    # The first new pod starts beside old ones that still hold most; it grows with a rollout of its own.
    await space.until("Pod", partial(all_hold, 13), what="all pods hold 13", seconds=90)
    kubectl("rollout", "status", "-n", space.name, "deployment/api", "--timeout=60s")
    found = await space.get("Deployment", "api")
    assert owners(found) == {"poolbudget": "Apply"}
    await space.until("Event", tells_of_labels, what="an Event on the Deployment says so")

    await space.apply(unlabelled())
    again = await space.get("Deployment", "api")
    assert again["metadata"]["generation"] == found["metadata"]["generation"], "who applies his own fields keeps ours"


async def test_a_capacity_that_falls_and_rises_rolls_one_workload_after_the_other(space: Space) -> None:
    await space.apply(
        budget(space.name, API, WORKER, **FORTY),
        controller("Deployment", "api", 2, template("api", parked=False), strategy=ROLLING),
        controller("StatefulSet", "worker", 2, template("worker", parked=False), serviceName="worker"),
    )
    assert await grants(space) == {8}
    kubectl("rollout", "status", "-n", space.name, "deployment/api", "--timeout=60s")
    kubectl("rollout", "status", "-n", space.name, "statefulset/worker", "--timeout=60s")
    async with changes(space, "Deployment", "StatefulSet") as history:
        for usable, each in ((30, 6), (40, 8)):
            await space.patch("PoolBudget", "orders", spec={"maxConnections": usable})
            await space.until("Pod", partial(all_hold, each), what=f"all pods hold {each}", seconds=90)
            kubectl("rollout", "status", "-n", space.name, "deployment/api", "--timeout=60s")
            kubectl("rollout", "status", "-n", space.name, "statefulset/worker", "--timeout=60s")
    assert_never_two_at_once(history)
    assert restarts(history) == {"api": 2, "worker": 2}


async def test_labels_that_are_taken_away_twice_are_left_to_whoever_does_it(space: Space) -> None:
    await space.apply(unlabelled(), budget(space.name, API, **FORTY))
    for _ in range(2):
        await space.until("Deployment", has_label, what="the template is labelled", seconds=60)
        kubectl("rollout", "status", "-n", space.name, "deployment/api", "--timeout=60s")
        kubectl("replace", "-n", space.name, "-f", "-", stdin=unlabelled())
    status = await space.status("orders", is_contested, what="the workload is contested", seconds=60)
    assert "add them where the template is kept (Git)" in status["workloads"][0]["message"]
    await another_round(space)
    (found,) = await space.all("Deployment")
    assert not has_label([found])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param({"labels": {BUDGET_LABEL: "others"}}, f"{BUDGET_LABEL}=others", id="a label of another value"),
        pytest.param({"annotations": {RESTARTED: "2024-01-01T00:00:00Z"}}, '"argocd"', id="a field of ours"),
    ],
)
async def test_what_another_tool_keeps_is_not_forced(space: Space, fields: Mapping[str, Raw], told: str) -> None:
    made = unlabelled()
    for name, values in fields.items():
        made["spec"]["template"]["metadata"][name] |= values
    made["metadata"]["namespace"] = space.name
    await space.kube.patch(space.path("Deployment", "api"), made, APPLY_PATCH, fieldManager="argocd")
    before = (await space.get("Deployment", "api"))["metadata"]["generation"]
    await space.apply(budget(space.name, API, **FORTY))
    status = await space.status("orders", is_contested, what="the workload is contested", seconds=60)
    assert told in status["workloads"][0]["message"]
    await another_round(space)
    found = await space.get("Deployment", "api")
    assert found["metadata"]["generation"] == before
    assert set(owners(found)) <= {"argocd"}


def tells_of_labels(events: list[Raw]) -> bool:
    return any(e["reason"] == "Labelled" and e["regarding"]["kind"] == "Deployment" for e in events)


def owners(controller: Raw) -> dict[str, str]:
    """Return who manages the label of the budget on a template, and how."""
    entries = controller["metadata"]["managedFields"]
    path = ("f:spec", "f:template", "f:metadata", "f:labels", f"f:{BUDGET_LABEL}")

    def owns(fields: Raw) -> bool:
        for name in path:
            fields = fields.get(name)  # type: ignore[assignment]
            if fields is None:
                return False
        return True

    return {entry["manager"]: entry["operation"] for entry in entries if owns(entry["fieldsV1"])}


def has_label(deployments: list[Raw]) -> bool:
    return any(BUDGET_LABEL in d["spec"]["template"]["metadata"]["labels"] for d in deployments)


def is_contested(status: Raw) -> bool:
    return any(w["reason"] == "ContestedTemplate" for w in status.get("workloads", ()))


async def another_round(space: Space) -> None:
    """Wait until the operator has decided anew, long after the cooldown."""
    await space.patch("PoolBudget", "orders", spec={"headroom": 1})
    changed = await space.get("PoolBudget", "orders")
    generation = changed["metadata"]["generation"]
    await space.status("orders", lambda s: s.get("observedGeneration") == generation, what="it has decided anew")


def all_hold(each: int, pods: list[Raw]) -> bool:
    return {connections(pod) for pod in pods} == {each}


async def grants(space: Space) -> set[int]:
    pods = [*await space.until_pods("api", granted=2), *await space.until_pods("worker", granted=2)]
    return {connections(pod) for pod in pods}


@asynccontextmanager
async def changes(space: Space, *kinds: str) -> AsyncIterator[list[Raw]]:
    """Record every state of all objects of these kinds, in the order in which they came to be."""
    history: list[Raw] = []

    async def record(kind: str, version: str) -> None:
        async for event in space.kube.watch(space.path(kind), version, 300):
            history.append(event["object"])

    async with asyncio.TaskGroup() as group:
        listed = [(kind, await space.kube.get(space.path(kind))) for kind in kinds]
        history += [raw for _, found in listed for raw in found["items"]]
        tasks = [group.create_task(record(kind, found["metadata"]["resourceVersion"])) for kind, found in listed]
        yield history
        for task in tasks:
            task.cancel()
    history.sort(key=lambda raw: int(raw["metadata"]["resourceVersion"]))


def assert_never_two_at_once(history: list[Raw]) -> None:
    rolling: set[str] = set()
    for index, raw in enumerate(history):
        (rolling.add if is_rolling(raw) else rolling.discard)(raw["metadata"]["name"])
        trail = "\n".join(
            f"{r['metadata']['name']} {r['metadata']['generation']} {r['status']}" for r in history[:index]
        )
        assert len(rolling) < 2, f"{sorted(rolling)} are rolling at once:\n{trail}"


def is_rolling(controller: Raw) -> bool:
    """Whether `kubectl rollout status` would go on waiting."""
    status, wanted = controller["status"], controller["spec"]["replicas"]
    unnoticed = status["observedGeneration"] < controller["metadata"]["generation"]
    finished = (status.get(name, 0) for name in ("updatedReplicas", "availableReplicas", "replicas"))
    return unnoticed or any(pods != wanted for pods in finished)


def restarts(history: list[Raw]) -> dict[str, int]:
    """How often each controller got another time."""
    times: dict[str, set[str]] = {}
    for raw in history:
        annotations = raw["spec"]["template"]["metadata"].get("annotations", {})
        times.setdefault(raw["metadata"]["name"], set()).update({annotations.get(RESTARTED)} - {None})
    return {name: len(found) for name, found in times.items()}
