"""The plan of one workload from what it claims and what it was given, with the sentence that says why.

`planning.plan` calls one of these for every workload that could be sized.
"""

from dataclasses import replace
from datetime import datetime

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.detection.startup import refused_settings
from poolbudget.planning.model import WorkloadPlan
from poolbudget.planning.profiles import effects, process_pools
from poolbudget.planning.replicas import exceeding
from poolbudget.planning.sizing import Sized


def direct(sized: Sized, share: int, safe: int | None) -> WorkloadPlan:
    """Return the plan of a workload whose processes get `share` connections each at the server."""
    possible, why = sized.possible(share), _why(sized, share)
    message = f"{_each(sized)} gets {possible} connections{_among(sized)}, {why}"
    reason = "Overridden" if sized.own.pools else sized.stance.reason
    message = sized.own.added_to(message) + (f"; {sized.stance.why}" if sized.stance.why else "")
    mode = WorkloadMode.DIRECT
    return _plan(sized, mode, reason, message, share=possible, fits=True, safe=safe)


def behind_pooler(
    sized: Sized, mode: WorkloadMode, reason: str, why: str, safe: int | None, clear_since: datetime | None = None
) -> WorkloadPlan:
    """Return the plan of a workload behind the pooler, where each of its processes has all that it may.

    `why` it is there, and since when its way back has been clear.
    """
    share = sized.possible(sized.claim.ceiling)
    has = "a pool of" if mode is WorkloadMode.POOLED else "no pool and at most"
    message = f"{_each(sized)} has {has} {share} connections to the pooler{_among(sized)}, "
    message = sized.own.added_to(f"{message}{_why(sized, share)}; {why}")
    planned = _plan(sized, mode, reason, message, share=share, fits=True, safe=safe, clear_since=clear_since)
    return replace(planned, advice=_on_refused_settings(sized))


def refused(sized: Sized, reason: str, message: str, safe: int | None) -> WorkloadPlan:
    """Return the plan of a workload that gets nothing: it shows the floor."""
    mode = WorkloadMode.DIRECT if sized.stance.mode is WorkloadMode.AUTO else sized.stance.mode
    return _plan(sized, mode, reason, message, share=sized.claim.floor, fits=False, safe=safe)


def _each(sized: Sized) -> str:
    return f"{f'each of {sized.processes} processes' if sized.processes > 1 else 'its process'} of a pod"


def _among(sized: Sized) -> str:
    pools = effects(sized.workload).pools
    return f" in {pools} equal pools" if pools > 1 else ""


def _why(sized: Sized, share: int) -> str:
    if sized.own.is_fixed:
        return "as its variables say"
    if share < sized.possible(sized.claim.ceiling):
        return "its part of what is usable"
    return f"limited by {min(sized.limits, key=lambda name: sized.limits[name])}"


def _on_refused_settings(sized: Sized) -> str:
    """Return what to write instead of settings that a pooler does not take in when a client connects."""
    declared = sized.workload.pool.statement_timeout_milliseconds is not None
    found = [("statement_timeout", "when connecting")] if declared else []
    template = sized.target.template if sized.target else None
    for container in template.targets(sized.workload.containers) if template else ():
        for variable, names in refused_settings(container).items():
            found.append((" and ".join(names), f"in {variable} of container {container.name}"))
    return "; ".join(f"behind a pooler set {names} with ALTER ROLE ... SET, not {where}" for names, where in found)


def _plan(
    sized: Sized,
    mode: WorkloadMode,
    reason: str,
    message: str,
    *,
    share: int,
    fits: bool,
    safe: int | None,
    clear_since: datetime | None = None,
) -> WorkloadPlan:
    workload, target = sized.workload, sized.target
    clients_per_pod = sized.processes * share + workload.extra_per_pod
    per_pod = clients_per_pod if mode is WorkloadMode.DIRECT else 0
    return WorkloadPlan(
        key=sized.key,
        workload=workload,
        mode=mode,
        reason=reason,
        message=message,
        fits=fits,
        processes=sized.processes,
        steady=sized.steady,
        peak=sized.peak,
        desired=target.desired if target else 0,
        floor=sized.claim.floor,
        share=share,
        pools=process_pools(workload, share, sized.own.pools, mode),
        per_pod=per_pod,
        clients_per_pod=clients_per_pod,
        planned=sized.peak * per_pod if fits else 0,
        safe_max_replicas=safe,
        revision=target.revision if target else None,
        exceeding=exceeding(target, workload.max_pods, safe, fits=fits),
        clear_since=clear_since,
    )
