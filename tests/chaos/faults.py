"""What can happen to the cluster: one function for each kind of `schedule.DECK`, in the table `FAULTS`.

Each finds its victim among what there is now; `NoVictimError` says that there was none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.node import Node, NodeError
from tests.chaos.scene import WORKLOADS, budget_workloads
from tests.chaos.schedule import Fault
from tests.chaos.witness import Witness
from tests.functional.cluster import kubectl
from tests.functional.space import OPERATOR_NAMESPACE, Raw, Space, is_gated, is_wanted

PAUSE_SECONDS = (4.0, 25.0)
"""From less than the lease lasts to more."""

EDITS: tuple[dict[str, Any], ...] = ({"weight": 1}, {"weight": 2}, {"weight": 4}, {"weight": 2, "max": 24})

RESTART = 'kill -INT "$(head -1 "$PGDATA/postmaster.pid")"'
CRASH = 'kill -KILL "$(psql -XtA orders -c "select pid from pg_stat_activity where usename = \'shop\' limit 1")"'


class NoVictimError(Exception):
    """Nothing of the kind is there now."""


@dataclass(frozen=True, slots=True)
class World:
    """What faults work on. `group` runs what goes on after a fault: the end of a pause."""

    space: Space
    node: Node
    witness: Witness
    group: asyncio.TaskGroup
    edits: dict[str, dict[str, Any]]

    @property
    def system(self) -> Space:
        """The operator's namespace."""
        return Space(self.space.kube, OPERATOR_NAMESPACE)


async def rollout(world: World, fault: Fault) -> None:
    """Start a rolling update, whatever goes on."""
    await _roll(world, fault, fault.choose(sorted(WORKLOADS)))


async def rollouts(world: World, fault: Fault) -> None:
    """Start rolling updates of all workloads at the same moment: every rollout slot is wanted."""
    await asyncio.gather(*(_roll(world, fault, workload) for workload in WORKLOADS))


async def _roll(world: World, fault: Fault, workload: str) -> None:
    template = {"metadata": {"annotations": {"chaos/restarted": str(fault.at)}}}
    path = world.space.path("Deployment", workload)
    changed = await world.space.kube.patch(path, {"spec": {"template": template}})
    generation = changed["metadata"]["generation"]
    world.witness.rollout_begun(workload, generation, asyncio.get_running_loop().time())


async def scale(world: World, fault: Fault) -> None:
    """Move a workload as an autoscaler would: half of the time to the most that the budget knows of, else below."""
    workload = fault.choose(sorted(WORKLOADS))
    most = WORKLOADS[workload].most_pods
    await world.space.scale("Deployment", workload, min(most, 1 + int(2 * fault.amount * most)))


async def plan_edit(world: World, fault: Fault) -> None:
    """Change weight and limit of a workload; the plan still divides everything."""
    world.edits[fault.choose(sorted(WORKLOADS))] = EDITS[int(fault.amount * len(EDITS))]
    await world.space.patch("PoolBudget", "orders", spec={"workloads": budget_workloads(world.edits)})


async def pod_delete(world: World, fault: Fault) -> None:
    """Delete a pod; it ends in its own time."""
    await world.space.delete("Pod", name_of(await _running_pod(world.space, fault)))


async def pod_force_delete(world: World, fault: Fault) -> None:
    """Delete a pod without grace: the API server forgets it at once, while its processes still run."""
    await _forget(world.space, await _running_pod(world.space, fault))


async def container_kill(world: World, fault: Fault) -> None:
    """Kill a container as the kernel does when memory runs out for all of it; the kubelet restarts it in place."""
    await world.node.signal("KILL", await _main_process(world, await _running_pod(world.space, fault)))


async def worker_kill(world: World, fault: Fault) -> None:
    """Kill the process with the most memory, which is what the kernel does; its parent replaces it at once."""
    processes = await world.node.processes(await _running_pod(world.space, fault))
    children = [process for process in processes if process.inner_id != 1]
    if not processes:
        raise NoVictimError
    await world.node.signal("KILL", max(children or processes, key=lambda process: process.resident).id)


async def apiserver_restart(world: World, _: Fault) -> None:
    """Kill the API server; the kubelet starts it again, each time a little later."""
    if not (ids := await world.node.named("kube-apiserver")):
        raise NoVictimError
    await world.node.signal("KILL", *ids)


async def postgres_restart(world: World, _: Fault) -> None:
    """Restart Postgres in the fast way: all sessions end at once."""
    await _in_postgres(world, RESTART)


async def postgres_crash(world: World, _: Fault) -> None:
    """Kill one backend: Postgres ends all others and recovers."""
    await _in_postgres(world, CRASH)


def kill_of(component: str) -> Callable[[World, Fault], Awaitable[None]]:
    """Kill a process of ours where it stands. Its pod is replaced, for the kubelet would wait longer every time."""

    async def kill(world: World, fault: Fault) -> None:
        pod = await _running_pod(world.system, fault, component)
        await world.node.signal("KILL", await _main_process(world, pod))
        await _forget(world.system, pod)

    return kill


def pause_of(component: str) -> Callable[[World, Fault], Awaitable[None]]:
    """Let a process of ours stand still for a while."""

    async def pause(world: World, fault: Fault) -> None:
        process = await _main_process(world, await _running_pod(world.system, fault, component))
        await world.node.signal("STOP", process)
        world.group.create_task(resume(world, process, fault.between(*PAUSE_SECONDS)))

    return pause


async def resume(world: World, process: int, seconds: float) -> None:
    """Let a process go on after a while, or as soon as the run is interrupted."""
    try:
        await asyncio.sleep(seconds)
    finally:
        await world.node.signal("CONT", process)


FAULTS: Mapping[str, Callable[[World, Fault], Awaitable[None]]] = {
    "rollout": rollout,
    "rollouts": rollouts,
    "scale": scale,
    "plan_edit": plan_edit,
    "pod_delete": pod_delete,
    "pod_force_delete": pod_force_delete,
    "container_kill": container_kill,
    "worker_kill": worker_kill,
    "operator_kill": kill_of("poolbudget-operator"),
    "operator_pause": pause_of("poolbudget-operator"),
    "webhook_kill": kill_of("poolbudget-webhook"),
    "webhook_pause": pause_of("poolbudget-webhook"),
    "postgres_restart": postgres_restart,
    "postgres_crash": postgres_crash,
    "apiserver_restart": apiserver_restart,
}


def name_of(pod: Raw) -> str:
    name: str = pod["metadata"]["name"]
    return name


async def _running_pod(space: Space, fault: Fault, component: str = "") -> Raw:
    """Choose among the pods of a component of ours, or of the budget's workloads, whose containers run."""
    selector = f"app.kubernetes.io/name={component}" if component else "poolbudget.dev/budget"
    pods = [pod for pod in await space.all("Pod", labelSelector=selector) if _runs(pod)]
    if not pods:
        raise NoVictimError
    return fault.choose(sorted(pods, key=name_of))


def _runs(pod: Raw) -> bool:
    states = [status["state"] for status in pod["status"].get("containerStatuses", [])]
    return is_wanted(pod) and not is_gated(pod) and bool(states) and all("running" in state for state in states)


async def _main_process(world: World, pod: Raw) -> int:
    process = await world.node.main_process(pod)
    if process is None:
        raise NoVictimError
    return process


async def _forget(space: Space, pod: Raw) -> None:
    await space.kube.delete(space.path("Pod", name_of(pod)), {"gracePeriodSeconds": 0})


async def _in_postgres(world: World, script: str) -> None:
    where = ("-n", world.space.name, "orders-db-0", "--", "sh", "-c", script)
    done = await asyncio.to_thread(kubectl, "exec", *where, check=False)
    if done.returncode:
        raise NodeError(f"{script}: {done.stderr.strip()}")
