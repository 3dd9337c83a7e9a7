"""Pods of a workload that never passed admission, and what is charged for them.

They run without labels, were opened under updateMode Off, or were born while the webhook was away. `observe` finds
them, `reconcile` charges them with `charge`, and `ledger.room` counts the charge as taken. Nothing of it is written
down: what they hold is theirs, and nobody has promised to keep it below anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from poolbudget.api.v1alpha1 import PoolBudgetSpec, SettingName, Workload
from poolbudget.detection.environment import Environment, UndetectableError
from poolbudget.detection.podspec import PodSpec
from poolbudget.detection.processes import Processes
from poolbudget.ledger.model import Ledger, Pod
from poolbudget.planning.model import BudgetKey, WorkloadKey
from poolbudget.planning.processes import pod_processes
from poolbudget.planning.profiles import effects
from poolbudget.planning.settings import pool_variables

DRIVER_SIZE = 5
DRIVER_OVERFLOW = 10
DRIVER_DEFAULT = DRIVER_SIZE + DRIVER_OVERFLOW
"""SQLAlchemy's defaults of pool_size and max_overflow
(https://docs.sqlalchemy.org/en/20/core/pooling.html#sqlalchemy.pool.QueuePool)."""

SIZES = frozenset({SettingName.POOL_SIZE, SettingName.MAX_OVERFLOW, SettingName.POOL_MAX_SIZE})


@dataclass(frozen=True, slots=True)
class UnmanagedPod:
    """A live pod that was given nothing. `spec` is what it was started with, None where that is not known."""

    uid: str
    namespace: str
    name: str
    workload: WorkloadKey
    revision: str | None = None
    address: str = ""
    deleting: bool = False
    spec: PodSpec | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What an unmanaged pod takes of its server."""

    pod: UnmanagedPod
    connections: int


def ungranted(pods: Iterable[Pod], ledger: Ledger) -> list[UnmanagedPod]:
    """Return the labelled pods that run although nobody granted them anything."""
    return [
        UnmanagedPod(pod.uid, pod.namespace, pod.name, pod.workload, pod.revision, pod.address, pod.deleting, pod.spec)
        for pod in pods
        if not pod.gates and not pod.granted and not pod.ended and pod.uid not in ledger
    ]


def charge(
    pods: Iterable[UnmanagedPod], shown: Mapping[str, int] | None, specs: Mapping[BudgetKey, PoolBudgetSpec]
) -> tuple[Charge, ...]:
    """Charge each pod what the database shows for it; where that cannot be read, what its own settings allow it.

    `shown`: backends by the pod's uid (`ledger.books`); None where the database cannot be read.
    """
    if shown is not None:
        return tuple(Charge(pod, shown.get(pod.uid, 0)) for pod in pods)
    return tuple(Charge(pod, _own_bound(pod, specs.get(pod.workload.budget_key))) for pod in pods)


def _own_bound(pod: UnmanagedPod, spec: PoolBudgetSpec | None) -> int:
    """Return what the pod may open by its own literal settings, else by its driver's defaults.

    It runs already and cannot be made to wait: where its processes cannot be told either, it counts as one.
    """
    workload = next((w for w in spec.workloads if w.name == pod.workload.workload), None) if spec else None
    if workload is None:
        return DRIVER_DEFAULT
    found = pod_processes(workload, pod.spec)
    processes, extra = (found.count, found.extra) if isinstance(found, Processes) else (1, 0)
    of_profile = effects(workload)
    each = of_profile.pools * sum(_pool_bound(pool, workload, pod.spec) for pool in _pools(workload))
    return processes * each + extra + of_profile.extra_per_pod + workload.extra_per_pod


def _pools(workload: Workload) -> list[dict[SettingName, str]]:
    """Return the variables of each pool of a process, by setting."""
    pools: dict[str, dict[SettingName, str]] = {}
    for variable, (pool, setting) in pool_variables(workload, SIZES).items():
        pools.setdefault(pool, {})[setting] = variable
    return list(pools.values())


def _pool_bound(variables: Mapping[SettingName, str], workload: Workload, spec: PodSpec | None) -> int:
    """Return the most that one pool opens in the container that allows it most."""
    containers = spec.targets(workload.containers) if spec else ()
    environments = [Environment.of(c.env, has_env_from=c.has_env_from) for c in containers]
    return max((_literal_bound(variables, environment) for environment in environments), default=DRIVER_DEFAULT)


def _literal_bound(variables: Mapping[SettingName, str], environment: Environment) -> int:
    """Return size + overflow as SQLAlchemy reads them, or an asyncpg pool's maximum.

    What means unlimited (size 0, overflow -1) counts as the driver's default: no figure would do.
    """
    literals = {setting: _number(environment, variable) for setting, variable in variables.items()}
    size, overflow = literals.get(SettingName.POOL_SIZE), literals.get(SettingName.MAX_OVERFLOW)
    if size is None and overflow is None:
        return literals.get(SettingName.POOL_MAX_SIZE) or DRIVER_DEFAULT
    return (size or DRIVER_SIZE) + (DRIVER_OVERFLOW if overflow is None else overflow)


def _number(environment: Environment, variable: str) -> int | None:
    try:
        value = environment.read(variable) or ""
    except UndetectableError:
        return None
    return int(value) if value.isascii() and value.isdecimal() else None
