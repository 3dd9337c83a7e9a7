"""One pod as an explanation shows it: what it holds, what its containers will read, in which state it is, since when.

`explanation.document` makes one `Row` for every pod of a server and every reservation whose pod is gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from poolbudget.api.v1alpha1 import PoolBudgetSpec, Workload, WorkloadMode
from poolbudget.detection.podspec import Container, PodSpec, Variable, parse_pod_spec
from poolbudget.detection.processes import Unknown
from poolbudget.ledger.model import (
    GATE,
    GRANTED_CONDITION,
    MODE_ANNOTATION,
    SETTING_ANNOTATION_PREFIX,
    Pod,
    Reservation,
)
from poolbudget.observe.pods import parse_pod
from poolbudget.planning.model import WorkloadKey
from poolbudget.planning.overrides import OverrideError, overrides
from poolbudget.planning.processes import pod_processes
from poolbudget.planning.profiles import effects
from poolbudget.planning.settings import setting_names

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of one container. `value` is None where only the kubelet or the image knows it.

    `source` is `grant`, `pod` (its own spec, which goes before) or `not granted`.
    """

    container: str
    variable: str
    value: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Row:
    """What one pod holds, or waits for. `since` is RFC 3339; numbers are connections, None where not known.

    `granted` is what the ledger charges, `configured` what the settings of its containers allow: at the server or,
    behind a pooler (`mode`), at that. `in_use` is what the database shows for its address. `reason` (CamelCase) and
    `message` say why it waits, or what is wrong.
    """

    uid: str
    namespace: str
    name: str
    workload: WorkloadKey
    state: str
    since: str | None = None
    mode: WorkloadMode | None = None
    granted: int | None = None
    configured: int | None = None
    in_use: int | None = None
    reason: str = ""
    message: str = ""
    settings: tuple[Setting, ...] = ()

    @property
    def behind_pooler(self) -> bool:
        """Whether it connects to a pooler, by its grant."""
        return self.mode not in {None, WorkloadMode.DIRECT}


def settings_of(raw: Raw, spec: PoolBudgetSpec, workload: Workload) -> tuple[Setting, ...]:
    """Return the settings of the workload that the target containers of a pod get, each from where they get it."""
    known = setting_names(spec, workload)
    annotations = raw["metadata"].get("annotations") or {}
    return tuple(
        _setting(container, variable, annotations)
        for container in parse_pod_spec(raw).targets(_names(workload))
        for variable in container.env
        if variable.name in known or (variable.annotation or "").startswith(SETTING_ANNOTATION_PREFIX)
    )


def configured(raw: Raw, workload: Workload) -> int | None:
    """Return the most connections that its settings let the pod open; None where a number cannot be read.

    Without pools (NullPool) no setting bounds them.
    """
    pod, annotations = parse_pod_spec(raw), raw["metadata"].get("annotations") or {}
    if annotations.get(MODE_ANNOTATION) == WorkloadMode.NULL_POOL:
        return None
    processes = pod_processes(workload, pod)
    if isinstance(processes, Unknown):
        return None
    as_read = tuple(_as_read(container, annotations) for container in pod.targets(_names(workload)))
    try:
        own = overrides(workload, PodSpec(as_read))
    except OverrideError:
        return None
    extra = workload.extra_per_pod + processes.extra + effects(workload).extra_per_pod
    return processes.count * own.connections + extra if own.is_fixed else None


def vanished(entry: Reservation, in_use: int | None, *, observed: bool) -> Row:
    """Return the row of a reservation whose pod no longer exists; `observed`: the budget has a database to ask."""
    where = f"it ran on node {entry.node or 'unknown'} at address {entry.address or 'unknown'}"
    proof = "the database has shown no session of that address for the settle time, " if observed else ""
    command = f"poolbudget forget {entry.pod} -n {entry.namespace}"
    return Row(
        uid=entry.uid,
        namespace=entry.namespace,
        name=entry.pod,
        workload=entry.workload,
        state="vanished",
        granted=entry.connections,
        in_use=in_use,
        reason="Vanished",
        message=f"nobody saw it end, {where}: freed once {proof}its node has booted anew or is gone, "
        f"or a person who knows that it ended says: {command}",
    )


def state_of(raw: Raw, pod: Pod) -> tuple[str, str | None]:
    """Return what a pod is doing in one word, and since when."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    if pod.ended:
        return "ended", None
    if pod.deleting:
        return "terminating", _asked_to_end(metadata)
    if pod.gates:
        return "waiting", _transition(status, GRANTED_CONDITION, "False") or pod.created
    if not pod.node:
        return "unscheduled", _transition(status, "PodScheduled", "False") or pod.created
    return ("running" if status.get("phase") == "Running" else "starting"), status.get("startTime") or pod.created


def row(raw: Raw, entry: Reservation | None, in_use: int | None) -> Row | None:
    """Return the row of a pod that exists, without its settings; None if it carries no label of ours."""
    if (parsed := parse_pod(raw)) is None:
        return None
    _, pod = parsed
    state, since = state_of(raw, pod)
    reason, message = _trouble(raw, pod, state, entry)
    return Row(
        uid=pod.uid,
        namespace=pod.namespace,
        name=pod.name,
        workload=pod.workload,
        state=state,
        since=since,
        mode=pod.mode,
        granted=entry.connections if entry else pod.connections,
        in_use=in_use,
        reason=reason,
        message=message,
    )


def excess(found: Row) -> tuple[str, str]:
    """Return why a pod holds, may come to hold, or is charged more than its grant: reason and message, else empty."""
    if found.granted is None:
        return "", ""
    if found.behind_pooler:
        return _at_pooler(found, found.granted)
    own = ", ".join(f"{s.variable}={s.value} in container {s.container}" for s in found.settings if s.source == "pod")
    if found.in_use is not None and found.in_use > found.granted:
        cause = f"it sets {own} itself" if own else "it does not read its settings, or opens more beside its pools"
        return "GrantExceeded", f"holds {found.in_use} and was granted {found.granted}: {cause}"
    if found.configured is not None and found.configured > found.granted:
        return "Overridden", f"may open {found.configured} and was granted {found.granted}: it sets {own} itself"
    return "", ""


def _at_pooler(found: Row, charged: int) -> tuple[str, str]:
    if not found.in_use:
        seen = "nothing is charged once it is seen behind the pooler, with its first query"
        return ("NotSeenYet", seen) if charged else ("", "")
    cause = "it does not take host and port from its settings, or connects elsewhere in its code"
    return "Bypassed", f"holds {found.in_use} at the server itself and was granted a place behind the pooler: {cause}"


def _trouble(raw: Raw, pod: Pod, state: str, entry: Reservation | None) -> tuple[str, str]:
    if state == "waiting":
        if others := [gate for gate in pod.gates if gate != GATE]:
            return "OtherGates", f"waits for the scheduling gates {', '.join(others)} first"
        return pod.notice or ("", "the operator has not said why yet")
    if state == "unscheduled":
        scheduled = _condition(raw.get("status") or {}, "PodScheduled")
        return scheduled.get("reason", ""), scheduled.get("message", "no node has been chosen yet")
    if state == "ended" and entry is not None:
        return (
            "BackendsLeft",
            "its containers have ended: held until its last sessions are gone from the database",
        )
    if entry is None and not pod.granted and state != "ended":
        return "Uncounted", "started without a grant: no ledger counts it"
    return "", ""


def _setting(container: Container, variable: Variable, annotations: Mapping[str, str]) -> Setting:
    if variable.annotation is not None and variable.annotation.startswith(SETTING_ANNOTATION_PREFIX):
        value = annotations.get(variable.annotation)
        return Setting(container.name, variable.name, value, "not granted" if value is None else "grant")
    return Setting(container.name, variable.name, variable.value, "pod")


def _as_read(container: Container, annotations: Mapping[str, str]) -> Container:
    """Return a container with the values of its settings in place of the references to the pod's annotations."""
    env = [
        replace(variable, value=annotations.get(variable.annotation), annotation=None)
        if variable.annotation and variable.annotation.startswith(SETTING_ANNOTATION_PREFIX)
        else variable
        for variable in container.env
    ]
    return replace(container, env=tuple(env))


def _names(workload: Workload) -> tuple[str, ...] | None:
    return None if workload.containers is None else tuple(workload.containers)


def _asked_to_end(metadata: Raw) -> str:
    """Return when a pod was asked to end: its deletionTimestamp is when the grace it was given is over."""
    grace = timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
    asked = datetime.fromisoformat(metadata["deletionTimestamp"]) - grace
    return asked.strftime("%Y-%m-%dT%H:%M:%SZ")


def _transition(status: Raw, type_: str, value: str) -> str | None:
    found = _condition(status, type_)
    return found.get("lastTransitionTime") if found.get("status") == value else None


def _condition(status: Raw, type_: str) -> Raw:
    conditions: list[Raw] = status.get("conditions") or []
    return next((c for c in conditions if c["type"] == type_), {})
