"""A namespace as a test uses it: make objects, and wait for what others make of them, by watching.

The fixture `space` gives one to each test of the operator.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from poolbudget.kube import APPLY_PATCH, ApiError, Kube
from poolbudget.ledger.codec import decode
from poolbudget.ledger.model import CONNECTIONS_ANNOTATION, GATE, GRANTED_CONDITION, WORKLOAD_LABEL, Reservation
from poolbudget.ledger.packing import unpack

Raw = dict[str, Any]

OPERATOR_NAMESPACE = "poolbudget-system"
PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Event": "/apis/events.k8s.io/v1/namespaces/{}/events",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Pod": "/api/v1/namespaces/{}/pods",
    "PoolBudget": "/apis/poolbudget.dev/v1alpha1/namespaces/{}/poolbudgets",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
}


@dataclass(frozen=True, slots=True)
class Space:
    """One namespace of the cluster; objects are the API server's JSON."""

    kube: Kube
    name: str

    async def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Create or change objects by server-side apply."""
        for manifest in manifests:
            path = self.path(manifest["kind"], manifest["metadata"]["name"])
            await self.kube.patch(path, manifest, APPLY_PATCH, fieldManager="tests", force="true")

    async def get(self, kind: str, name: str) -> Raw:
        """Return one object."""
        return await self.kube.get(self.path(kind, name))

    async def patch(self, kind: str, name: str, **body: Any) -> None:
        """Merge `body` into an object."""
        await self.kube.patch(self.path(kind, name), body)

    async def scale(self, kind: str, name: str, replicas: int) -> None:
        """Set how many pods a controller makes."""
        await self.patch(kind, name, spec={"replicas": replicas})

    async def delete(self, kind: str, name: str) -> None:
        """Delete an object, and its dependents in the background."""
        await self.kube.delete(self.path(kind, name), {"propagationPolicy": "Background"})

    async def all(self, kind: str, **params: str) -> list[Raw]:
        """Return all objects of a kind."""
        items: list[Raw] = (await self.kube.get(self.path(kind), **params))["items"]
        return items

    async def until(
        self, kind: str, holds: Callable[[list[Raw]], bool], *, what: str, seconds: float = 30.0
    ) -> list[Raw]:
        """Watch the objects of a kind until `holds` of them together; return them as they were then."""
        listed = await self.kube.get(self.path(kind))
        seen = {raw["metadata"]["uid"]: raw for raw in listed["items"]}
        version = listed["metadata"]["resourceVersion"]
        watch = self.kube.watch(self.path(kind), version, int(seconds) + 10)
        try:
            async with asyncio.timeout(seconds), aclosing(watch):
                while not holds(list(seen.values())):
                    event = await anext(watch)
                    raw = event["object"]
                    if event["type"] == "DELETED":
                        seen.pop(raw["metadata"]["uid"], None)
                    elif event["type"] != "BOOKMARK":
                        seen[raw["metadata"]["uid"]] = raw
            return list(seen.values())
        except TimeoutError:
            lines = "\n".join(map(summary, seen.values()))
            raise AssertionError(f"not within {seconds:.0f} s: {what}; {self.name} has\n{lines}") from None

    async def until_pods(
        self, workload: str, *, granted: int = 0, waiting: int = 0, reason: str = "", seconds: float = 30.0
    ) -> list[Raw]:
        """Wait until exactly so many pods of the workload hold a grant and so many explain why they wait.

        With `reason` they wait until all give this one: before the picture is complete there may be others.

        Returns the pods that hold a grant, then those that wait, each oldest first.
        """

        def hold(pods: list[Raw]) -> bool:
            mine = of(pods)
            explained = {notice(pod).get("reason") for pod in mine if is_gated(pod)} <= {reason} if reason else True
            return explained and counts(mine) == (granted, waiting) and len(mine) == granted + waiting

        def of(pods: list[Raw]) -> list[Raw]:
            return [
                pod
                for pod in pods
                if pod["metadata"].get("labels", {}).get(WORKLOAD_LABEL) == workload and is_wanted(pod)
            ]

        what = f"{granted} pods of {workload} hold a grant and {waiting} say why they wait"
        found = await self.until("Pod", hold, what=what, seconds=seconds)
        return sorted(of(found), key=lambda pod: (is_gated(pod), pod["metadata"]["creationTimestamp"]))

    async def status(
        self, name: str, holds: Callable[[Raw], bool] = bool, *, what: str = "it has a status", seconds: float = 30.0
    ) -> Raw:
        """Wait until the status of a PoolBudget is as wanted, and return it."""

        def of(budgets: list[Raw]) -> Raw:
            return next((b.get("status") or {} for b in budgets if b["metadata"]["name"] == name), {})

        found = await self.until(
            "PoolBudget", lambda found: bool(of(found)) and holds(of(found)), what=f"{name}: {what}", seconds=seconds
        )
        return of(found)

    async def ledger(self) -> dict[str, Reservation]:
        """Return what is reserved for pods of this namespace, by uid."""
        ledgers = await Space(self.kube, OPERATOR_NAMESPACE).all("ConfigMap", labelSelector="poolbudget.dev/ledger")
        entries = {uid: entry for ledger in ledgers for uid, entry in decode(unpack(ledger)).items()}
        return {uid: entry for uid, entry in entries.items() if entry.namespace == self.name}

    async def forget(self) -> None:
        """Delete the namespace's budgets, and then their ledgers, which would stay behind."""
        budgets = await self.all("PoolBudget")
        for budget in budgets:
            await self.delete("PoolBudget", budget["metadata"]["name"])
        system = Space(self.kube, OPERATOR_NAMESPACE)
        for ledger in await system.all("ConfigMap", labelSelector="poolbudget.dev/ledger"):
            if self.name in ledger["metadata"]["annotations"]["poolbudget.dev/server"]:
                try:
                    await system.delete("ConfigMap", ledger["metadata"]["name"])
                except ApiError as error:
                    if error.status != 404:  # the operator removes a ledger itself once it is empty
                        raise

    def path(self, kind: str, name: str = "") -> str:
        """Return the REST path of an object, or of all of a kind."""
        collection = PATHS[kind].format(self.name)
        return f"{collection}/{name}" if name else collection


def is_wanted(pod: Raw) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def is_gated(pod: Raw) -> bool:
    return {"name": GATE} in pod["spec"].get("schedulingGates", [])


def connections(pod: Raw) -> int:
    """Return the grant of a pod; 0 if it has none, or is behind the pooler."""
    return int(pod["metadata"].get("annotations", {}).get(CONNECTIONS_ANNOTATION, 0))


def is_granted(pod: Raw) -> bool:
    """Whether a pod holds a grant: of a pod behind the pooler it is one of 0 connections."""
    return CONNECTIONS_ANNOTATION in pod["metadata"].get("annotations", {})


def notice(pod: Raw) -> Raw:
    """Return the condition that says why a pod waits, or that it was granted."""
    conditions: list[Raw] = pod.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == GRANTED_CONDITION), {})


def condition(status: Raw, type_: str) -> Raw:
    """Return a condition of a PoolBudget's status."""
    conditions: list[Raw] = status.get("conditions", [])
    return next((c for c in conditions if c["type"] == type_), {})


def counts(pods: list[Raw]) -> tuple[int, int]:
    """How many hold a grant, and how many say why they wait."""
    granted = sum(not is_gated(pod) and is_granted(pod) for pod in pods)
    return granted, sum(is_gated(pod) and notice(pod).get("status") == "False" for pod in pods)


def summary(raw: Raw) -> str:
    """One line for the message of a failed wait."""
    is_pod = "containers" in raw.get("spec", {})
    told = f"gated={is_gated(raw)} connections={connections(raw)} {notice(raw)}" if is_pod else raw.get("status")
    return f"  {raw['metadata']['name']}: {told}"
