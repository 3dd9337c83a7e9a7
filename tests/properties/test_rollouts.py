"""Update mode Recreate comes to rest whatever is edited: one workload at a time, every rollout finishes, none repeats.

The real plan, grants and rollouts, against controllers and kubelets that act at once; what the operator sees of the
controllers may be some turns old.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolbudget.api.v1alpha1 import UpdateMode
from poolbudget.ledger.decide import Snapshot, decide
from poolbudget.ledger.model import Decision, Ledger, Pod
from poolbudget.ledger.modes import with_poolers_in_use
from poolbudget.ledger.rollouts import Applied, Restart, Rollouts, decide_rollouts, labels_of, rolled_last
from poolbudget.observe.rollouts import parse_rollout
from poolbudget.planning.model import ServerPlan, Target, TargetKey
from poolbudget.planning.plan import plan_server
from tests.properties.ledger_controllers import act
from tests.properties.ledger_faults import LIMITS, controllers, possible
from tests.properties.ledger_parts import Controller, workload
from tests.properties.ledger_world import World, build

TURN, COOLDOWN = timedelta(seconds=10), timedelta(seconds=60)
QUIET_TURNS = 10
"""Longer than the cooldown: then nothing is held up but by what the cluster shows."""
MOST_TURNS = 250
MOST_LAG = 2


@dataclass
class Cluster:
    """A server, turn by turn. `lag`: for how many turns changes of controllers stay unseen."""

    world: World
    lag: int
    ledger: Ledger = field(default_factory=dict)
    now: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    restarted: dict[TargetKey, str] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    seen: deque[dict[TargetKey, Target]] = field(default_factory=lambda: deque(maxlen=MOST_LAG + 1))
    restarts: int = 0

    def turn(self) -> tuple[ServerPlan, Decision, Rollouts]:
        """Let everybody act once."""
        self.now += TURN
        for controller in self.world.controllers:
            act(self.world, controller)
        _kubelet(self.world)
        self.seen.append({c.target.key: self.target(c) for c in self.world.controllers})
        targets = self.seen[max(0, len(self.seen) - 1 - self.lag)]
        plan = with_poolers_in_use(plan_server(self.world.budgets, targets, None), self.world.budgets, self.ledger)
        last = {uid: pod for uid, now, pod in self.world.log if now is None}
        gone = {uid: last[uid] for uid in self.ledger if uid not in self.world.pods}
        specs, pods = {budget.key: budget.spec for budget in self.world.budgets}, dict(self.world.pods)
        applied = Applied(dict(self.generations), {}, {})
        rolled = rolled_last(plan, targets, applied)
        snapshot = Snapshot(specs, plan, self.ledger, pods, gone, self.world.sessions(), 0, rolled=rolled)
        decision = decide(snapshot)
        rollouts = decide_rollouts(snapshot, decision, targets, applied, self.now, COOLDOWN)
        self.ledger = decision.ledger
        for grant in decision.grants:
            self.world.patch(grant)
        could = sum(self.world.could_open().values()) + plan.for_poolers
        assert could <= max(plan.usable, decision.committed + plan.for_poolers)
        if rollouts.restart is not None:
            self.restart(rollouts.restart)
        return plan, decision, rollouts

    def restart(self, restart: Restart) -> None:
        """Change a template; nobody else's pods are being replaced, unless the new ones wait at the gate."""
        self.restarts += 1
        for controller in self.world.controllers:
            if controller.name != restart.workload.workload and self._has_old(controller):
                assert self._only_waits(controller), f"{controller.name} rolls, too"
        controller = next(c for c in self.world.controllers if c.name == restart.workload.workload)
        controller.roll(controller.processes)
        self.restarted[restart.target] = self.now.isoformat()
        self.generations[restart.uid] = controller.revision

    def target(self, controller: Controller) -> Target:
        """Return the controller as the operator's cache would show it, by way of the status that Kubernetes writes."""
        raw = {
            "metadata": {"uid": controller.name, "generation": controller.revision},
            "spec": {"template": self._template(controller), "replicas": controller.replicas, **_strategy(controller)},
            "status": {"observedGeneration": controller.revision, **self._status(controller)},
        }
        return replace(controller.target, rollout=parse_rollout(controller.kind, raw))

    def _template(self, controller: Controller) -> dict[str, Any]:
        at = self.restarted.get(controller.target.key, "")
        return {"metadata": {"labels": labels_of(controller.key), "annotations": {"poolbudget.dev/restarted-at": at}}}

    def _status(self, controller: Controller) -> dict[str, Any]:
        pods = [pod for pod in self.world.of(controller) if not pod.deleting and not pod.ended]
        updated = [pod for pod in pods if pod.revision == f"r{controller.revision}"]
        available = sum(self.world.is_ready(pod) for pod in pods)
        rolled_out = len(updated) == len(pods) and (available == controller.replicas or not self._has_old(controller))
        return {
            "replicas": len(pods),
            "updatedReplicas": len(updated),
            "availableReplicas": available,
            "updateRevision": f"r{controller.revision}",
            "currentRevision": f"r{controller.revision}" if rolled_out else "older",
        }

    def _has_old(self, controller: Controller) -> bool:
        stays = (pod for pod in self.world.of(controller) if not pod.deleting and not pod.ended)
        return any(pod.revision != f"r{controller.revision}" for pod in stays)

    def _only_waits(self, controller: Controller) -> bool:
        pods = [pod for pod in self.world.of(controller) if not self.world.is_ready(pod)]
        return all(pod.gates for pod in pods)

    def rest(self) -> tuple[ServerPlan, Decision, Rollouts]:
        """Take turns until nothing has changed for a while."""
        quiet = 0
        for _ in range(MOST_TURNS):
            before = self._picture()
            last = self.turn()
            quiet = quiet + 1 if self._picture() == before else 0
            if quiet == QUIET_TURNS:
                return last
        raise AssertionError(f"never comes to rest: {self.restarts} restarts")

    def _picture(self) -> tuple[object, ...]:
        return len(self.world.log), self.restarts, dict(self.ledger), [dict(c.sizes) for c in self.world.controllers]


def _kubelet(world: World) -> None:
    for uid, pod in list(world.pods.items()):
        if pod.deleting and not pod.ended:
            world.end(uid)
        elif pod.ended:
            world.remove(uid)
        else:
            world.schedule(uid)
            world.start(uid)


def _strategy(controller: Controller) -> dict[str, Any]:
    amounts = {"maxSurge": controller.surge, "maxUnavailable": controller.unavailable}
    strategy = {"type": "Recreate"} if controller.recreates else {"type": "RollingUpdate", "rollingUpdate": amounts}
    return {"strategy": strategy, "updateStrategy": {"type": "RollingUpdate"}}


def _moved(cluster: Cluster, plan: ServerPlan, controller: Controller) -> Iterator[tuple[Pod, int]]:
    """Yield the running pods whose grants are far from the plan, and by how much above it they are."""
    planned = plan.workloads[controller.key]
    for pod in cluster.world.of(controller):
        if pod.uid in cluster.ledger and planned.fits:
            above = cluster.ledger[pod.uid].connections - planned.per_pod
            if abs(above) >= 2 and 100 * abs(above) >= 20 * cluster.ledger[pod.uid].connections:
                yield pod, above


def _check_rest(cluster: Cluster, plan: ServerPlan, decision: Decision, rollouts: Rollouts) -> None:
    world = cluster.world
    for controller in world.controllers:
        if controller.target.key in cluster.restarted and plan.workloads[controller.key].fits:
            old = [p for p in world.of(controller) if p.revision != f"r{controller.revision}"]
            assert not old, f"the rollout of {controller.name} never finishes: {decision.waits}"
    holders = [(held.connections, plan.workloads[held.workload]) for held in cluster.ledger.values()]
    within = all(planned.fits and connections <= planned.per_pod for connections, planned in holders)
    for controller in world.controllers:
        for pod, above in _moved(cluster, plan, controller):
            told = rollouts.notes.get(controller.key)
            assert above < 0 or told is not None, f"{pod.name} holds {above} more than planned, and nobody says why"
            assert above > 0 or not within, f"{pod.name} holds {-above} less than planned, and there is room"


def set_all(world: World, **changes: object) -> None:
    """Change the specs of all budgets."""
    for budget in world.budgets:
        world.set_spec(budget.key, **changes)


EDITS = st.one_of(
    st.tuples(st.just("usable"), st.integers(8, 40)),
    st.tuples(st.just("limits"), st.integers(0, 2), LIMITS),
    st.tuples(st.just("scale"), st.integers(0, 2), st.integers(0, 4)),
)


def _edit(world: World, edit: Any, pooled: int) -> None:
    kind, *values = edit
    if kind == "usable":
        set_all(world, max_connections=values[0])
        return
    controller = world.controllers[values[0] % len(world.controllers)]
    if kind == "limits":
        world.set_workload(controller, **possible(values[1], pooled))
    else:
        controller.replicas = values[1]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), usable=st.integers(10, 40), number=st.integers(1, 3), lag=st.integers(0, MOST_LAG))
def test_recreate_comes_to_rest(data: st.DataObject, usable: int, number: int, lag: int) -> None:
    made = [data.draw(controllers(name)) for name in "abc"[:number]]
    pooled = data.draw(st.sampled_from([0, 0, 3]))
    workloads = [workload(c, **possible(data.draw(LIMITS), pooled)) for c in made]
    world = build(usable, made, workloads, observed=True, pooled=pooled)
    set_all(world, update_mode=UpdateMode.RECREATE)
    cluster = Cluster(world, lag)
    _check_rest(cluster, *cluster.rest())
    for edit in data.draw(st.lists(EDITS, max_size=4)):
        _edit(world, edit, pooled)
        _check_rest(cluster, *cluster.rest())
