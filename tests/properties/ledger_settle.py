"""The end of every run of the ledger's model: nobody interferes any more, and everybody gets his turn.

`ledger_machine` calls `check_settled`. Rollouts then have finished and nobody waits for room that is his.
"""

from collections.abc import Callable

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.ledger.model import Ledger, Pod, Reservation
from poolbudget.planning.model import ServerPlan, WorkloadPlan
from tests.properties.ledger_controllers import act, finished
from tests.properties.ledger_operator import Operator, Store
from tests.properties.ledger_world import World

MOST_TURNS = 300


def settle(world: World, operator: Operator, *, turns: int = MOST_TURNS) -> bool:
    """Give everybody turns until nothing changes any more; return whether that came to pass."""
    for _ in range(turns):
        before = _picture(world, operator)
        for controller in world.controllers:
            act(world, controller)
        for uid, pod in list(world.pods.items()):
            if pod.deleting and pod.ended:
                world.remove(uid)
            elif pod.deleting or (pod.ended and uid in world.processes):
                world.end(uid)
            else:
                world.schedule(uid)
                world.start(uid)
        for uid in [uid for uid in world.processes if uid not in world.pods]:
            world.end(uid)
        world.forget_backends()
        operator.watch(1000)
        operator.run()
        if before == _picture(world, operator):
            return True
    return False


def _picture(world: World, operator: Operator) -> tuple[object, ...]:
    sizes = [dict(controller.sizes) for controller in world.controllers]
    unseen = [world.pods[uid] for uid in sorted(world.hidden & world.pods.keys())]
    return len(world.log), unseen, operator.store.version, len(world.lingering), len(world.processes), sizes


def check_settled(world: World, store: Store, operator: Operator, check: Callable[[], None], *, squeezed: bool) -> None:
    """Settle; then let old pods end until none holds more than the plan gives it, and settle again.

    Pods at the gate that a person is told to delete (`GrantOutdated`) are deleted, too.
    """
    for _ in range(12):
        assert settle(world, operator), "never comes to rest"
        check()
        _forget_what_left_no_trace(world, store, operator)
        plan, decision = operator.begin()
        operator.round = None
        _nobody_waits_for_free_room(world, plan, store.ledger)
        if not squeezed:
            _rollouts_finished(world, plan)
        outdated = {wait.pod.uid for wait in decision.waits if wait.reason == "GrantOutdated"}
        live = {uid for uid, pod in world.pods.items() if not pod.gates and not pod.ended}
        assert store.ledger.keys() == live | outdated, f"ledger {store.ledger}, but live {live}"
        beyond = {uid for uid, held in store.ledger.items() if _is_beyond_plan(plan, world.pods[uid], held)}
        if not (ending := beyond | outdated):
            break
        for uid in sorted(ending):
            world.delete(uid)
    else:
        raise AssertionError(f"still holds more than the plan gives: {ending}")
    for controller in world.controllers:
        if plan.workloads[controller.key].fits:
            assert finished(world, controller), f"{controller.name} never finishes: {decision.waits}"


def _forget_what_left_no_trace(world: World, store: Store, operator: Operator) -> None:
    """Forget, as a person would, pods that vanished and about which nobody can be asked any more.

    There is no database, their address was never noted, or another pod has it by now. What starts in their place may
    be another such pod's end.
    """
    while lost := _left_no_trace(world, store.ledger):
        store.put({uid: r for uid, r in store.ledger.items() if uid not in lost}, store.version)
        operator.restart()
        settle(world, operator)


def _left_no_trace(world: World, ledger: Ledger) -> set[str]:
    in_use = {"", *(pod.address for pod in world.pods.values())}
    gone = {uid: r for uid, r in ledger.items() if uid not in world.pods and not _node_tells(world, r)}
    return {uid for uid, r in gone.items() if not world.observed or r.address in in_use}


def _node_tells(world: World, held: Reservation) -> bool:
    """Whether the node has booted, or has gone, since the pod was found missing."""
    return bool(held.boot) and world.nodes.get(held.node) != held.boot


def _is_beyond_plan(plan: ServerPlan, pod: Pod, held: Reservation) -> bool:
    """Whether a pod holds more than the plan has for it, or is one that its StatefulSet wants to end."""
    workload = plan.workloads[pod.workload]
    surplus = pod.owner == "StatefulSet" and int(pod.name.rpartition("-")[2]) >= workload.steady
    return surplus or not workload.fits or held.connections > workload.per_pod


def _nobody_waits_for_free_room(world: World, plan: ServerPlan, ledger: Ledger) -> None:
    """A pod within the plan waits only if its floor does not fit beside what is charged and the rollout slots."""
    free = plan.usable - plan.for_poolers - sum(r.connections for r in ledger.values())
    slots = {c.key: _slot(plan.workloads[c.key], ledger) for c in world.controllers}
    for pod in world.pods.values():
        workload = plan.workloads[pod.workload]
        if not pod.gates or not workload.fits or pod.uid in ledger:
            continue  # one that holds a reservation has to be deleted (`GrantOutdated`)
        needed = workload.bound(world.process_counts[pod.uid], workload.floor)
        behind_pooler = workload.mode is not WorkloadMode.DIRECT
        pods = sum(r.workload == pod.workload for r in ledger.values())
        older = {p.revision for p in world.pods.values() if p.uid in ledger and p.workload == pod.workload}
        surge = pod.revision == workload.revision and bool(older - {pod.revision}) and slots[pod.workload] > 0
        others = sum(slots.values()) - slots[pod.workload]
        if surge:
            assert free - others < needed, f"{pod.name} waits for its slot: needs {needed}, free {free - others}"
        if pods < workload.steady:
            assert not behind_pooler, f"{pod.name} waits, and would take nothing"
            kept = others + slots[pod.workload]
            assert free - kept < needed, f"{pod.name} waits within steady: needs {needed}, free {free} - {kept}"


def slots_missing(world: World, ledger: Ledger) -> bool:
    """Whether pods hold, or will hold once all are there and replaced, so much that not every rollout has its slot."""
    needed = 0
    for key, workload in world.plan().workloads.items():
        floor = workload.bound(workload.processes or 0, workload.floor)
        held = [r.connections for r in ledger.values() if r.workload == key]
        lacking = max(0, workload.desired - len(held)) + (workload.peak > workload.steady)
        needed += sum(max(connections, floor) for connections in held) + lacking * floor
    return needed > world.usable - world.for_poolers()


def _rollouts_finished(world: World, plan: ServerPlan) -> None:
    for controller in world.controllers:
        workload = plan.workloads[controller.key]
        if workload.fits and workload.peak > workload.steady and controller.replicas:
            old = [p for p in world.of(controller) if not p.ended and p.revision != workload.revision]
            assert not old, f"the rollout of {controller.name} never finishes: {old[0].name} stays"


def _slot(plan: WorkloadPlan, ledger: Ledger) -> int:
    pods = sum(r.workload == plan.key for r in ledger.values())
    uses_it = pods > min(plan.desired, plan.steady)
    if not plan.fits or plan.processes is None or plan.peak == plan.steady or uses_it:
        return 0
    return plan.bound(plan.processes, plan.floor)
