"""How a workload may reach its server, before any number is known: directly, through the pooler, or as it fits.

`planning.sizing` asks for the stance of every workload; `planning.moving` decides for those that may be moved.
"""

from dataclasses import dataclass

from poolbudget.api.v1alpha1 import PoolBudgetSpec, PoolerMode, Route, SettingName, Workload, WorkloadMode
from poolbudget.detection.podspec import PodSpec
from poolbudget.planning.model import BudgetKey, Target
from poolbudget.planning.poolers import BEHIND_A_POOLER, endpoint
from poolbudget.planning.profiles import effects
from poolbudget.planning.settings import annotation_key

SERVERLESS = {"Service": "Knative Service", "ScaledJob": "ScaledJob", "Job": "Job", "CronJob": "CronJob"}
"""Kinds of targets whose pods come and go with the load or the work, and what to call them."""

KNATIVE_LABEL = "serving.knative.dev/service"
"""On the pods of the Deployments that Knative makes (https://knative.dev/docs/serving/)."""


MOVED = frozenset({"DirectDoesNotFit", "PlannedAbovePercent", "Stabilizing"})
"""Reasons of `planning.moving`: nobody but Auto has sent such a workload behind the pooler."""

NO_TROUBLE = frozenset(
    {
        "FitsDirectly",
        "Declared",
        "Serverless",
        "PoolerAlways",
        "ProcessesAbove",
        *MOVED,
    }
)
"""Reasons for a mode that ask nobody to do anything: in the status, others go before them."""


@dataclass(frozen=True, slots=True)
class Stance:
    """The mode that a workload has whatever the others need; Auto: Direct as long as that fits, else Pooled.

    `reason` is CamelCase, and `why` ends the sentence that tells what its processes get.
    """

    mode: WorkloadMode
    reason: str = "FitsDirectly"
    why: str = ""


DIRECT = Stance(WorkloadMode.DIRECT)
AS_IT_FITS = Stance(WorkloadMode.AUTO)


def stance(
    budget: BudgetKey, spec: PoolBudgetSpec, workload: Workload, target: Target | None, processes: int
) -> Stance:
    """Return how a workload may reach its server; `processes` are those of a pod."""
    if workload.mode in BEHIND_A_POOLER:
        return Stance(workload.mode, "Declared", f"as mode {workload.mode} says")
    if workload.mode is WorkloadMode.DIRECT or endpoint(budget, spec) is None:
        return DIRECT
    obstacle = unroutable(spec, workload, target.template if target else None)
    wanted = _without_counting(spec, workload, target, processes)
    if not obstacle:
        return wanted
    return (
        DIRECT if wanted is AS_IT_FITS else Stance(WorkloadMode.DIRECT, "Unroutable", f"{wanted.why}, but {obstacle}")
    )


def _without_counting(spec: PoolBudgetSpec, workload: Workload, target: Target | None, processes: int) -> Stance:
    """Return where a workload of mode Auto belongs, if it can be moved."""
    if runtime := serverless(workload, target):
        return Stance(WorkloadMode.NULL_POOL, "Serverless", f"the pods of a {runtime} come and go")
    if spec.pooler.mode is PoolerMode.ALWAYS:
        return Stance(WorkloadMode.POOLED, "PoolerAlways", "pooler.mode is Always")
    above = spec.pooler.when.processes_above if spec.pooler.when else None
    if above is not None and processes > above:
        why = f"the {processes} processes of a pod are above pooler.when.processesAbove {above}"
        return Stance(WorkloadMode.POOLED, "ProcessesAbove", why)
    return AS_IT_FITS


def serverless(workload: Workload, target: Target | None) -> str:
    """Return what makes pods that are too short-lived for pools of their own; empty if nothing does."""
    if target is not None and KNATIVE_LABEL in target.labels:
        return SERVERLESS["Service"]
    return SERVERLESS.get(workload.target.kind, "")


def unroutable(spec: PoolBudgetSpec, workload: Workload, pod: PodSpec | None) -> str:
    """Return why a workload cannot be sent to a pooler, and what to write instead; empty if it can."""
    variables = _host_and_port(workload)
    if workload.route is not Route.ENV:
        taken = f" and let the application take host and port from {' and '.join(variables)}" if all(variables) else ""
        return f"it cannot be sent to a pooler: set `route: Env` of the workload{taken}"
    if spec.database is None:
        return "it could not be sent back to the server: set `database` of the budget"
    return own_address(workload, pod)


def own_address(workload: Workload, pod: PodSpec | None) -> str:
    """Return which container would go where it is told itself, and what to write instead; empty if none would."""
    variables = _host_and_port(workload)
    for container in pod.targets(workload.containers) if pod else ():
        for variable in container.env:
            if variable.name in variables and variable.annotation != annotation_key(variable.name):
                return (
                    f"container {container.name} sets {variable.name} itself: remove it there, so that it can be moved"
                )
    return ""


def _host_and_port(workload: Workload) -> list[str]:
    """Return the variables of host and port, empty where the profile has none."""
    declared, of_profile = workload.env.names, effects(workload).names
    return [declared.get(setting, of_profile.get(setting, "")) for setting in (SettingName.HOST, SettingName.PORT)]
