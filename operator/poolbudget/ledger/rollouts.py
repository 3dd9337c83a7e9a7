"""Which workload gets a new pod template now, so that its pods are born again: update mode Recreate.

Decided after the grants (`ledger.decide`) on the same snapshot; `act.rollouts` applies it. One workload of a server at
a time, and none for nothing: a rollout starts only when its first new pod fits, and only for a reason that it removes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from poolbudget.api.v1alpha1 import UpdateMode
from poolbudget.ledger.decide import Snapshot
from poolbudget.ledger.model import BUDGET_LABEL, BUDGET_NAMESPACE_LABEL, WORKLOAD_LABEL, Decision
from poolbudget.ledger.reasons import Due, Fleet, due_now
from poolbudget.planning.model import Rollout, ServerPlan, Target, TargetKey, WorkloadKey, WorkloadPlan

RESTARTED_ANNOTATION = "poolbudget.dev/restarted-at"
"""On the pod template: when we last rolled the workload."""
LABELLED_ANNOTATION = "poolbudget.dev/times-labelled"
"""On the controller: how often we have added the labels to its template."""
NEVER = datetime.min.replace(tzinfo=UTC)
MOST_LABELLED = 2
"""Labels that were taken away as often are somebody's intention."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What this process has applied to controllers, by their uid: the picture may lag behind it, or have lost it.

    `generations` of the objects that the API server answered with; `labelled`: how often; `refused`: reason and message
    of a template that the API server did not take.
    """

    generations: Mapping[str, int]
    labelled: Mapping[str, int]
    refused: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Restart:
    """Apply our labels and the time to the template of `target`.

    `uid` and `generation` of the object as it was seen; `labelled`: how often labels were added to it, with this time.
    """

    workload: WorkloadKey
    target: TargetKey
    uid: str
    generation: int
    labelled: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """What a workload's status says besides the plan; `reason` replaces the plan's, unless it is empty."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What follows from a snapshot for templates."""

    restart: Restart | None
    notes: Mapping[WorkloadKey, Note]


def labels_of(key: WorkloadKey) -> dict[str, str]:
    """Return the labels that the template of a workload's pods needs."""
    return {BUDGET_LABEL: key.budget, WORKLOAD_LABEL: key.workload}


def rolled_last(plan: ServerPlan, targets: Mapping[TargetKey, Target], applied: Applied) -> WorkloadKey | None:
    """Return the workload that we rolled last, as long as its pods are not all replaced."""
    rolling: dict[tuple[bool, datetime], WorkloadKey] = {}
    for key, workload in plan.workloads.items():
        rollout = target.rollout if (target := targets.get(_target_key(workload))) is not None else None
        if rollout is not None and (_is_unseen(rollout, applied) or (rollout.outdated and _restarted_at(rollout))):
            rolling[_is_unseen(rollout, applied), _restarted_at(rollout) or NEVER] = key
    return rolling[max(rolling)] if rolling else None


def decide_rollouts(
    snapshot: Snapshot,
    decision: Decision,
    targets: Mapping[TargetKey, Target],
    applied: Applied,
    now: datetime,
    cooldown: timedelta,
) -> Rollouts:
    """Return the most urgent rollout that can start now, and what stands in the way of the others."""
    fleet = Fleet(snapshot, decision, starved_since=now - cooldown)
    notes: dict[WorkloadKey, Note] = {}
    dues: list[tuple[Due, Target, Rollout]] = []
    for plan, target in _recreated(snapshot, targets):
        rollout = target.rollout
        if (note := _obstacle(plan, target, applied)) is not None or rollout is None:
            notes[plan.key] = note or Note("", f"updateMode Recreate does not roll a {target.key.kind}")
        elif (due := due_now(fleet, plan, target.key, rollout, labelled=not _lacking(plan.key, rollout))) is not None:
            dues.append((due, target, rollout))
    hold = _hold(snapshot, fleet, targets, applied, now, cooldown)
    restart = None
    for due, target, rollout in sorted(dues, key=lambda d: d[0].rank):
        if restart is None and not hold and not due.blocked:
            restart = _restart(due, target, rollout, applied)
            hold = f"waits for the rollout of {due.key.workload}"
        else:
            notes[due.key] = Note("", f"{due.message}; {due.blocked or hold}")
    return Rollouts(restart, notes)


def _recreated(snapshot: Snapshot, targets: Mapping[TargetKey, Target]) -> Iterator[tuple[WorkloadPlan, Target]]:
    """Yield the workloads of update mode Recreate whose controller is there."""
    for key, plan in sorted(snapshot.plan.workloads.items()):
        target = targets.get(_target_key(plan))
        mode = plan.workload.update_mode or snapshot.specs[key.budget_key].update_mode
        if mode is UpdateMode.RECREATE and target is not None:
            yield plan, target


def _obstacle(plan: WorkloadPlan, target: Target, applied: Applied) -> Note | None:
    """Return why the template of a workload is left alone for good, if it is."""
    rollout = target.rollout
    if rollout is None:
        return None
    if foreign := {name: value for name, value in rollout.labels.items() if value != _wanted(plan.key)[name]}:
        has = ", ".join(f"{name}={value}" for name, value in foreign.items())
        needs = ", ".join(f"{name}={value}" for name, value in labels_of(plan.key).items())
        return Note("ContestedTemplate", f"its template has {has} and needs {needs}: correct it where it is kept (Git)")
    if lacking := _lacking(plan.key, rollout):
        if _labelled(rollout, applied) >= MOST_LABELLED:
            told = f"{' and '.join(lacking)} were added to its template {MOST_LABELLED} times and taken away again"
            return Note("ContestedTemplate", f"{told}: add them where the template is kept (Git)")
    elif rollout.obstacle:
        return Note("", f"updateMode Recreate does not roll {target.key.name}: {rollout.obstacle}")
    if refused := applied.refused.get(rollout.uid):
        return Note(*refused)
    return None


def _hold(
    snapshot: Snapshot,
    fleet: Fleet,
    targets: Mapping[TargetKey, Target],
    applied: Applied,
    now: datetime,
    cooldown: timedelta,
) -> str:
    """Return why no workload of the server is rolled now; empty if one may be."""
    for plan in snapshot.plan.workloads.values():
        target = targets.get(_target_key(plan))
        if target is not None and target.rollout is not None and _is_rolling(fleet, plan, target.rollout, applied):
            return f"waits for the rollout of {plan.key.workload}"
    times = [at for target in targets.values() if (at := _restarted_at(target.rollout)) is not None]
    # A time far ahead is no time of ours: it must not hold rollouts up for ever.
    if any(abs(now - at) < cooldown for at in times):
        return "waits for the cooldown after the last rollout"
    return ""


def _is_rolling(fleet: Fleet, plan: WorkloadPlan, rollout: Rollout, applied: Applied) -> bool:
    """Whether pods of a workload are being replaced, or are not all ready after we have replaced them.

    A rollout that only pods without room hold up does not count: to give them room is what others are rolled for.
    """
    if _is_unseen(rollout, applied):
        return True
    if not rollout.outdated and not (rollout.restarted_at and rollout.unready):
        return False
    if fleet.ends_pods(plan.key):
        return True
    if rollout.outdated:
        return bool(rollout.endable) or not 0 < rollout.unready == fleet.starved[plan.key]
    return rollout.unready > fleet.waiting[plan.key]


def _is_unseen(rollout: Rollout, applied: Applied) -> bool:
    """Whether we have changed the template and the picture does not show it yet."""
    return rollout.generation < applied.generations.get(rollout.uid, 0)


def _restart(due: Due, target: Target, rollout: Rollout, applied: Applied) -> Restart:
    labelled = _labelled(rollout, applied) + bool(_lacking(due.key, rollout))
    return Restart(due.key, target.key, rollout.uid, rollout.generation, labelled, due.reason, due.message)


def _labelled(rollout: Rollout, applied: Applied) -> int:
    """How often labels were added: an object that is replaced as a whole loses the annotation that counts it."""
    return max(rollout.labelled, applied.labelled.get(rollout.uid, 0))


def _lacking(key: WorkloadKey, rollout: Rollout) -> list[str]:
    return [name for name in labels_of(key) if name not in rollout.labels]


def _wanted(key: WorkloadKey) -> dict[str, str]:
    return {**labels_of(key), BUDGET_NAMESPACE_LABEL: key.namespace}


def _target_key(plan: WorkloadPlan) -> TargetKey:
    return TargetKey(plan.workload.target.kind, plan.key.namespace, plan.workload.target.name)


def _restarted_at(rollout: Rollout | None) -> datetime | None:
    """Return when a workload was last rolled by us; None also for what is no time of day."""
    try:
        at = datetime.fromisoformat(rollout.restarted_at) if rollout else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
