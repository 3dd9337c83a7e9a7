"""Beside any pods that never passed admission: nothing too much is granted, and what a blocked pod is told helps."""

import re
from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from poolbudget.api.v1alpha1 import Workload
from poolbudget.ledger.decide import Snapshot, decide
from poolbudget.ledger.unmanaged import Charge
from poolbudget.planning.model import WorkloadKey
from tests.unit.ledger_builders import (
    ledger,
    plan,
    pods,
    reservation,
    running,
    snapshot,
    spec,
    target,
    unmanaged,
    waiting,
)

NAMES = ("api", "worker")
HELD = st.integers(0, 20)


@st.composite
def charges(draw: st.DrawFn, name: str) -> list[Charge]:
    key = WorkloadKey("shop", "orders", name)
    held = draw(st.lists(st.tuples(HELD, st.booleans()), max_size=4))
    return [
        Charge(unmanaged(f"{name}-old-{n}", workload=key, deleting=deleting), connections)
        for n, (connections, deleting) in enumerate(held)
    ]


@st.composite
def adoptions(draw: st.DrawFn) -> Snapshot:
    """A server with two workloads: some of their pods run without a grant, some with one, and some wait."""
    budget = spec(draw(st.integers(10, 60)), workloads=[Workload(name=name) for name in NAMES])
    steady = {name: draw(st.integers(1, 3)) for name in NAMES}
    held = draw(st.lists(st.integers(2, 8), max_size=steady["api"] - 1))  # with the one that waits, all that are wanted
    entries = [reservation(f"api-{n}", connections) for n, connections in enumerate(held)]
    shown = [running(f"api-{n}", connections) for n, connections in enumerate(held)]
    wanting = [waiting(f"{name}-9", workload=WorkloadKey("shop", "orders", name)) for name in NAMES]
    return snapshot(
        budget,
        plan(budget, *(target(name, steady=steady[name]) for name in NAMES)),
        ledger=ledger(*entries),
        pods=pods(*shown, *wanting),
        elsewhere=draw(st.integers(0, 3)),
        unmanaged=tuple(charge for name in NAMES for charge in draw(charges(name))),
    )


@settings(deadline=None)
@given(adoptions())
def test_what_is_granted_fits_beside_what_unmanaged_pods_hold(picture: Snapshot) -> None:
    decision = decide(picture)
    taken = decision.committed + picture.elsewhere + sum(charge.connections for charge in picture.unmanaged)
    event(f"grants: {len(decision.grants)}")
    assert taken <= picture.plan.usable or not decision.grants


@settings(max_examples=400, deadline=None)
@given(adoptions(), st.sampled_from(NAMES))
def test_a_pod_whose_adoption_is_blocked_starts_once_that_is_done_and_not_before(picture: Snapshot, name: str) -> None:
    """Alone at the gate, since another pod could take the room that was made for it."""
    alone = replace(
        picture, pods={uid: pod for uid, pod in picture.pods.items() if not pod.gates or uid == f"{name}-9"}
    )
    blocked = [wait for wait in decide(alone).waits if wait.reason == "AdoptionBlocked"]
    event(f"blocked: {len(blocked)}")
    for wait in blocked:
        own = wait.pod.workload
        assert decide(recreating(alone, own)).grants
        for remaining in map(int, re.findall(r"scale the Deployment to (\d+) first", wait.message)):
            assert decide(replace(alone, unmanaged=scaled(alone.unmanaged, own, remaining))).grants
            assert not decide(replace(alone, unmanaged=scaled(alone.unmanaged, own, remaining + 1))).grants


def recreating(picture: Snapshot, workload: WorkloadKey) -> Snapshot:
    """Let the Deployment end all old pods first; its plan then has no pod for a rollout."""
    own = picture.plan.workloads[workload]
    workloads = {**picture.plan.workloads, workload: replace(own, peak=own.steady)}
    unmanaged = scaled(picture.unmanaged, workload, 0)
    return replace(picture, plan=replace(picture.plan, workloads=workloads), unmanaged=unmanaged)


def scaled(unmanaged: tuple[Charge, ...], workload: WorkloadKey, remaining: int) -> tuple[Charge, ...]:
    """Let the controller end all old pods but the largest; those that were ending have ended."""
    own = [charge for charge in unmanaged if charge.pod.workload == workload and not charge.pod.deleting]
    own.sort(key=lambda charge: -charge.connections)
    return (*(c for c in unmanaged if c.pod.workload != workload), *own[:remaining])
