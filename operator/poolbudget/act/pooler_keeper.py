"""Keeps the pooler of one budget: its objects, its pods, and how it is. Run by `act.pooler`.

Each step reads what is there, applies what `pooler.layout` says comes next, and tells the pods; so it goes on from
wherever another operator stopped.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from poolbudget.act.pooler_pods import PoolerPods
from poolbudget.act.pooler_probes import PoolerProbes
from poolbudget.act.pooler_secret import Material, keep_secret
from poolbudget.kube import APPLY_PATCH, ApiError, Kube
from poolbudget.ledger import books
from poolbudget.observe.login import Unobservable
from poolbudget.observe.pooler import look
from poolbudget.planning.model import Budget, BudgetKey, PoolerPlan
from poolbudget.planning.poolers import service_name
from poolbudget.pooler.layout import Layout, PoolerState, Seen, next_layout, proven
from poolbudget.pooler.objects import POOLER_LABEL, Manifest, Pooler, manifests, server_policy_name

log = logging.getLogger(__name__)

FIELD_MANAGER = "poolbudget"
UNSETTLED_SECONDS = 0.25
LOOKOUT_SECONDS = 1.0
SETTLED_SECONDS = 2.0
"""Shorter than the time that a pod stays reachable after its end was asked for (`pooler.objects.LEAVE_SECONDS`)."""
REPEAT_SECONDS = 60.0

COLLECTIONS: Mapping[str, str] = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
}
REMOVED = ("Service", "PodDisruptionBudget", "NetworkPolicy", "StatefulSet")
"""ConfigMap and Secret stay until the budget goes: should the pooler come back, applications trust it as before."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a pooler is to be. `plan` is None where it is to go, once it is not `in_use`: no pod is behind it any more.

    `charged`: what the ledger holds for it. `unseen`: the addresses to look out for among its clients. `backends`: the
    sessions at the server by address, None while not read.
    """

    budget: Budget | None
    plan: PoolerPlan | None
    charged: int
    in_use: bool
    unseen: frozenset[str]
    backends: Mapping[str, int] | None


class Keeper:
    """Keeps one pooler. `state` is what was found last."""

    def __init__(
        self, kube: Kube, key: BudgetKey, image: str, namespace: str, wake: Callable[[BudgetKey], None]
    ) -> None:
        self._kube, self._key, self._name = kube, key, service_name(key.name)
        self._image, self._namespace, self._wake = image, namespace, wake
        self._pods = PoolerPods(kube, key)
        self._probes = PoolerProbes(kube)
        self._wish: Wish | None = None
        self._changed = asyncio.Event()
        self._clients = frozenset[str]()
        self._applied: tuple[float, dict[str, Manifest]] = (0.0, {})
        self.state = PoolerState(None, "Starting", "the pooler has not been looked at yet")

    def want(self, wish: Wish) -> None:
        """Take in what the pooler is to be; what was proven of another amount holds no longer."""
        before, self._wish = self._wish, wish
        if before is None or not _is_same_amount(before, wish):
            self.state = replace(self.state, least=None)
            self._changed.set()

    async def run(self) -> None:
        """Bring about what is wanted, for ever; a failure is shown and tried again."""
        while True:
            self._changed.clear()
            if self._wish is not None:
                await self._turn(self._wish)
            try:
                async with asyncio.timeout(self._pause()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _turn(self, wish: Wish) -> None:
        self._clients = frozenset[str]()
        before, state = self.state, replace(await self._attempt(wish), clients=self._clients)
        is_current = self._wish is not None and _is_same_amount(self._wish, wish)
        self.state = state if is_current else replace(state, least=None)
        if self.state != before:
            log.info("pooler of %s: %s: %s", self._key, self.state.reason, self.state.message)
            self._wake(self._key)

    def _pause(self) -> float | None:
        """Return how many seconds to rest: None, until told otherwise, once nothing is left to keep."""
        if self._wish is None or (self._wish.plan is None and self.state.least == 0):
            return None
        if self.state.least is None or not self.state.ready:
            return UNSETTLED_SECONDS
        return LOOKOUT_SECONDS if self._wish.unseen else SETTLED_SECONDS

    async def _attempt(self, wish: Wish) -> PoolerState:
        try:
            if wish.plan is None or wish.budget is None:
                return await self._remove(wish)
            return await self._bring_about(wish.budget, wish.plan, wish)
        except Unobservable as problem:
            return replace(self.state, ready=False, reason=problem.reason, message=str(problem))
        except ApiError as error:
            message = f"the API server refused a part of the pooler, or does not answer: {error}"
            return replace(self.state, ready=False, reason="NotApplied", message=message)
        except Exception as error:  # one pooler's trouble must not end the others
            log.exception("pooler of %s", self._key)
            message = f"the operator failed, see its log: {error!r}"
            return replace(self.state, ready=False, reason="StepFailed", message=message)

    async def _bring_about(self, budget: Budget, plan: PoolerPlan, wish: Wish) -> PoolerState:
        pooler = Pooler(self._name, budget, budget.spec.pooler.image or self._image, self._namespace)
        material, seen = await asyncio.gather(
            keep_secret(self._kube, pooler, datetime.now(UTC)), look(self._kube, self._key, self._name)
        )
        layout = next_layout(plan, wish.charged, seen, self._pods.told, in_use=wish.in_use)
        if layout is None:
            message = f"its {plan.replicas} replicas need a connection each, and {wish.charged} are free: pods must end"
            return PoolerState(False, "NoRoom", message)
        written = await self._pods.write(seen, layout.limits, material)
        await self._pods.tell(written, layout.limits, material, may_hold=wish.charged)
        self._clients = await self._pods.clients(written, wish.unseen, material)
        await self._apply(pooler, layout, material, seen)
        await self._pods.replace_outdated(seen)
        least = proven(plan, seen, layout.limits, self._pods.told, wish.backends)
        ready, reason, message = await self._serves(budget, seen, material)
        return PoolerState(ready, reason, message, least, _shares(seen, wish.charged))

    async def _apply(self, pooler: Pooler, layout: Layout, material: Material, seen: Seen) -> None:
        """Apply what is to change, and everything now and then, should somebody have changed it."""
        try:
            rendered = manifests(pooler, layout.replicas, layout.limits, material.trusted)
        except ValueError as error:
            raise Unobservable("InvalidDatabase", str(error)) from error
        wanted = {self._path(m["kind"], m["metadata"]["name"]): m for m in rendered}
        at, applied = self._applied
        is_there = (seen.replicas, seen.limits) == (layout.replicas, layout.limits)
        known = applied if time.monotonic() - at < REPEAT_SECONDS else {}
        for path, manifest in wanted.items():
            if manifest != known.get(path) or (manifest["kind"] == "StatefulSet" and not is_there):
                await self._kube.patch(path, manifest, APPLY_PATCH, fieldManager=FIELD_MANAGER)
        if self._server_policy not in wanted and (not known or self._server_policy in known):
            await self._delete_own(self._server_policy)
        self._applied = (at if known else time.monotonic(), wanted)

    async def _serves(self, budget: Budget, seen: Seen, material: Material) -> tuple[bool, str, str]:
        """Say how the pooler is for the applications."""
        serving = [pod for pod in seen.pods if pod.ready and not pod.ending]
        if not serving:
            where = f"kubectl -n {self._key.namespace} describe pods -l app.kubernetes.io/instance={self._name}"
            return False, "NotReady", f"no pod of the pooler is ready: see {where}"
        if unreached := self._pods.unreached:
            return False, "Unreachable", unreached
        login = material.login
        if login and (problem := await self._probes.problem(budget, serving, login, material.trust)):
            return False, problem.reason, str(problem)
        return True, "Ready", f"{len(serving)} of {seen.replicas or 0} PgBouncer pods serve"

    async def _remove(self, wish: Wish) -> PoolerState:
        seen = await look(self._kube, self._key, self._name)
        pods = _shares(seen, wish.charged)
        if seen.replicas is not None and not wish.in_use:
            self._applied = (0.0, {})
            await self._delete_own(self._server_policy)
            for kind in REMOVED:
                await self._delete(self._path(kind, self._name))
        if seen.replicas is not None and wish.in_use:
            message = "the pooler stays until the pods that use it have ended: replace them"
            return PoolerState(True, "StillNeeded", message, None, pods)
        gone = seen.replicas is None and not seen.pods
        return PoolerState(None, "Removed", "no pooler is planned any more", 0 if gone else None, pods)

    @property
    def _server_policy(self) -> str:
        return self._path("NetworkPolicy", server_policy_name(self._name))

    async def _delete_own(self, path: str) -> None:
        """Delete what not every pooler has: where this one never had it, somebody else may."""
        try:
            found = await self._kube.metadata(path)
        except ApiError as error:
            if error.status != 404:
                raise
            return
        if found.get("labels", {}).get(POOLER_LABEL) == self._key.name:
            await self._delete(path)

    async def _delete(self, path: str) -> None:
        try:
            await self._kube.delete(path, {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != 404:
                raise

    def _path(self, kind: str, name: str) -> str:
        return f"{COLLECTIONS[kind].format(self._key.namespace)}/{name}"


def _shares(seen: Seen, charged: int) -> tuple[books.PoolerPod, ...]:
    """Return what the books have to know: each pod may hold its part of all that is charged."""
    return tuple(
        books.PoolerPod(pod.address, pod.host, -(-charged // len(seen.pods))) for pod in seen.pods if pod.address
    )


def _is_same_amount(one: Wish, other: Wish) -> bool:
    return (one.plan, one.charged) == (other.plan, other.charged)
