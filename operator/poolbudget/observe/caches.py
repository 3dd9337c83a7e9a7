"""The operator's live picture of the cluster: labelled pods, the controllers that make them, and their autoscalers.

`operator` starts one `Caches`; `observe.gather` reads it at every round. A change wakes the servers that it may
matter to.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Container, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from poolbudget.api.v1alpha1 import LabelSelector
from poolbudget.kube import Kube
from poolbudget.ledger.model import BUDGET_LABEL, Pod
from poolbudget.observe.pods import controller_of, parse_pod
from poolbudget.observe.rollouts import parse_rollout
from poolbudget.observe.watch import Change, ListWatch
from poolbudget.planning.model import BudgetKey, Target, TargetKey, Wish
from poolbudget.planning.replicas import autoscaler_wishes, disruption_wish
from poolbudget.planning.selectors import selects
from poolbudget.planning.targets import parse_target

CONTROLLERS = {
    "Deployment": "/apis/apps/v1/deployments",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "Job": "/apis/batch/v1/jobs",
    "CronJob": "/apis/batch/v1/cronjobs",
}
DISRUPTION_BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
AUTOSCALERS = "/apis/autoscaling/v2/horizontalpodautoscalers"
PODS = "/api/v1/pods"
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
DEPARTURE_SECONDS = 900.0
"""How long a pod's last state is kept for a leader to come: longer than any fail-over."""
MOST_ANCESTORS = 3
"""Of a controller. No known chain is longer, and one that leads back to itself would have no end."""
TEMPLATE_HASH_LABEL = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """A HorizontalPodAutoscaler: what it scales, to at most how many pods, and all that it asks for."""

    scales: TargetKey
    most: int
    wishes: tuple[Wish, ...]


class Caches:
    """One list-and-watch for each kind.

    `on_budget` is called with the budget whose pods changed, `on_target` with the controller that changed. Pods that
    vanished are kept, in their last known state, until the ledger no longer asks for them.
    """

    def __init__(
        self, kube: Kube, on_budget: Callable[[BudgetKey], None], on_target: Callable[[TargetKey], None]
    ) -> None:
        self._departed: dict[BudgetKey, dict[str, Pod]] = {}
        self._departures: deque[tuple[float, BudgetKey, str]] = deque()
        self._by_budget: dict[BudgetKey, dict[str, Pod]] = {}
        self._revisions: dict[TargetKey, dict[str, int]] = {}
        self._on_budget, self._on_target = on_budget, on_target
        self._pods = ListWatch(kube, PODS, parse_pod, self._pod_changed, label_selector=BUDGET_LABEL)
        self._targets = {
            kind: ListWatch(kube, path, _controller_parser(kind), self._target_changed)
            for kind, path in CONTROLLERS.items()
        }
        self._revision_watch = ListWatch(
            kube, CONTROLLERS["ReplicaSet"], _parse_revision, self._revision_changed, label_selector=BUDGET_LABEL
        )
        self._disruption_budgets: dict[str, dict[str, tuple[LabelSelector, Wish]]] = {}
        self._disruption_watch = ListWatch(
            kube, DISRUPTION_BUDGETS, _parse_disruption_budget, self._disruption_budget_changed
        )
        self._autoscalers = ListWatch(kube, AUTOSCALERS, _parse_autoscaler, self._autoscaler_changed)

    @property
    def _all(self) -> tuple[ListWatch[Any, Any], ...]:
        return (self._pods, self._revision_watch, self._autoscalers, self._disruption_watch, *self._targets.values())

    def run(self) -> list[Coroutine[Any, Any, None]]:
        """Return the endless coroutines that keep the picture."""
        return [watch.run() for watch in self._all]

    async def synced(self) -> None:
        """Return once every kind has been listed completely."""
        await asyncio.gather(*(watch.synced.wait() for watch in self._all))

    def pods_of(self, budget: BudgetKey) -> Mapping[str, Pod]:
        """Return the labelled pods of a budget by uid."""
        return self._by_budget.get(budget, {})

    def budgets_with_pods(self) -> frozenset[BudgetKey]:
        """Return the budgets that pods name or, before they vanished, named; whether they exist or not."""
        return frozenset(self._by_budget | self._departed)

    def departed_of(self, budget: BudgetKey) -> Mapping[str, Pod]:
        """Return the last known state of the budget's pods that vanished, by uid."""
        return self._departed.get(budget, {})

    def forget_departed(self, budget: BudgetKey, still_charged: Container[str]) -> None:
        """Drop the vanished pods of the budget that no ledger charges any more."""
        kept = {uid: pod for uid, pod in self.departed_of(budget).items() if uid in still_charged}
        self._departed.pop(budget, None)
        if kept:
            self._departed[budget] = kept

    def target(self, key: TargetKey) -> Target | None:
        """Return what a controller says of its pods, with its newest revision and what others ask of it."""
        watch = self._targets.get(key.kind)
        target = watch.items.get(key) if watch else None
        if target is None:
            return None
        scalers = [scaler for scaler in self._autoscalers.items.values() if scaler.scales == key]
        if scalers and target.steady is not None:
            target = replace(target, steady=max(target.desired, *(scaler.most for scaler in scalers)))
        asked = [wish for scaler in scalers for wish in scaler.wishes]
        asked += [
            wish
            for selector, wish in self._disruption_budgets.get(key.namespace, {}).values()
            if target.labels and selects(selector, target.labels)
        ]
        if asked:
            target = replace(target, wishes=tuple(asked))
        if revisions := self._revisions.get(key):
            target = replace(target, revision=max(revisions, key=lambda template: revisions[template]))
        return target

    def lineage(self, key: TargetKey) -> list[TargetKey]:
        """Return a controller and those that it belongs to: a ReplicaSet and its Deployment, a Job and its CronJob."""
        line = [key]
        for _ in range(MOST_ANCESTORS):
            watch = self._targets.get(line[-1].kind)
            target = watch.items.get(line[-1]) if watch else None
            if target is None or target.owner is None:
                break
            line.append(target.owner)
        return line

    def wake_lineage(self, key: TargetKey) -> None:
        """Tell of a change of pods that no label names, by the controllers to which they belong."""
        for controller in self.lineage(key):
            self._on_target(controller)

    def _pod_changed(self, uid: str, change: Change[Pod]) -> None:
        if change.old is not None and change.new is None:
            budget = change.old.workload.budget_key
            if change.witnessed or change.old.ended:  # else it may have started before it was deleted
                self._departed.setdefault(budget, {})[uid] = change.old
                self._departures.append((time.monotonic(), budget, uid))
                self._forget_old_departures()
            del self._by_budget[budget][uid]
            if not self._by_budget[budget]:
                del self._by_budget[budget]
        if change.new is not None:
            self._by_budget.setdefault(change.new.workload.budget_key, {})[uid] = change.new
        self._on_budget((change.new or change.old).workload.budget_key)  # type: ignore[union-attr]  # one of them is there

    def _forget_old_departures(self) -> None:
        """Bound what a replica keeps that does not lead, and so never learns what the ledger no longer asks for."""
        while time.monotonic() - self._departures[0][0] > DEPARTURE_SECONDS:
            _, budget, uid = self._departures.popleft()
            self._departed.get(budget, {}).pop(uid, None)

    def _target_changed(self, key: TargetKey, _: Change[Target]) -> None:
        self._on_target(key)

    def _revision_changed(self, _: tuple[str, str], change: Change[tuple[TargetKey, str, int]]) -> None:
        if change.old is not None:
            self._revisions[change.old[0]].pop(change.old[1], None)
        if change.new is not None:
            deployment, template, number = change.new
            self._revisions.setdefault(deployment, {})[template] = number
            self._on_target(deployment)

    def _autoscaler_changed(self, _: tuple[str, str], change: Change[Autoscaler]) -> None:
        for state in (change.old, change.new):
            if state is not None:
                self._on_target(state.scales)

    def _disruption_budget_changed(self, key: tuple[str, str], change: Change[tuple[LabelSelector, Wish]]) -> None:
        """Take note; that is for the next round, since nothing is granted by it."""
        here = self._disruption_budgets.setdefault(key[0], {})
        if change.new is None:
            del here[key[1]]
        else:
            here[key[1]] = change.new


def _controller_parser(kind: str) -> Callable[[Mapping[str, Any]], tuple[TargetKey, Target] | None]:
    def parse(raw: Mapping[str, Any]) -> tuple[TargetKey, Target]:
        parsed = parse_target({"kind": kind, **raw}, None)
        target = replace(parsed, owner=controller_of(raw["metadata"]), rollout=parse_rollout(kind, raw))
        return target.key, target

    return parse


def _parse_revision(raw: Mapping[str, Any]) -> tuple[tuple[str, str], tuple[TargetKey, str, int]] | None:
    """Return which Deployment a ReplicaSet belongs to, its template's hash and the revision's number."""
    metadata = raw["metadata"]
    owner = controller_of(metadata)
    template = (metadata.get("labels") or {}).get(TEMPLATE_HASH_LABEL)
    number = (metadata.get("annotations") or {}).get(REVISION_ANNOTATION, "")
    if owner is None or owner.kind != "Deployment" or template is None or not number.isdecimal():
        return None
    return (metadata["namespace"], metadata["name"]), (owner, template, int(number))


def _parse_autoscaler(raw: Mapping[str, Any]) -> tuple[tuple[str, str], Autoscaler]:
    metadata, spec = raw["metadata"], raw["spec"]
    scaled = spec["scaleTargetRef"]
    key = TargetKey(scaled["kind"], metadata["namespace"], scaled["name"])
    wishes = autoscaler_wishes({"kind": "HorizontalPodAutoscaler", **raw})
    return (metadata["namespace"], metadata["name"]), Autoscaler(key, spec["maxReplicas"], wishes)


def _parse_disruption_budget(raw: Mapping[str, Any]) -> tuple[tuple[str, str], tuple[LabelSelector, Wish]] | None:
    metadata = raw["metadata"]
    found = disruption_wish(raw)
    return None if found is None else ((metadata["namespace"], metadata["name"]), found)
