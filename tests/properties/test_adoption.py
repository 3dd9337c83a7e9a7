"""Beside any pods that never passed admission: nothing too much is granted, and what a blocked pod is told helps."""

import re
from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from poolbudget.api.v1alpha1 import Workload
from poolbudget.ledger.decide import Snapshot, decide
from poolbudget.ledger.model import Pod
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
    held = draw(st.lists(st.integers(2, 8), max_size=2))
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
@given(adoptions())
def test_a_pod_that_is_told_to_scale_starts_once_that_is_done(picture: Snapshot) -> None:
    blocked = [wait for wait in decide(picture).waits if wait.reason == "AdoptionBlocked"]
    event(f"blocked: {len(blocked)}")
    if not blocked:
        return
    wait = blocked[0]
    (remaining,) = re.findall(r"scale the Deployment to (\d+) first", wait.message)
    alone = replace(picture, pods=without_other_claims(picture, wait.pod))
    after = replace(alone, unmanaged=scaled(picture.unmanaged, wait.pod.workload, int(remaining)))
    assert wait.pod in [grant.pod for grant in decide(after).grants]
    one_more = replace(alone, unmanaged=scaled(picture.unmanaged, wait.pod.workload, int(remaining) + 1))
    assert wait.pod not in [grant.pod for grant in decide(one_more).grants]


def without_other_claims(picture: Snapshot, pod: Pod) -> dict[str, Pod]:
    return {uid: other for uid, other in picture.pods.items() if not other.gates or other == pod}


def scaled(unmanaged: tuple[Charge, ...], workload: WorkloadKey, remaining: int) -> tuple[Charge, ...]:
    """Let the controller end all old pods but the largest; those that were ending have ended."""
    own = [charge for charge in unmanaged if charge.pod.workload == workload and not charge.pod.deleting]
    own.sort(key=lambda charge: -charge.connections)
    return (*(c for c in unmanaged if c.pod.workload != workload), *own[:remaining])
