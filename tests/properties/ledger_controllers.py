"""Deployments and StatefulSets as Kubernetes runs them, one action at a time.

Sources: `rolling.go` and `recreate.go` of the Deployment controller, `stateful_set_control.go` with OrderedReady; the
names of the quantities are theirs.
"""

from poolbudget.ledger.model import Pod
from tests.properties.ledger_parts import Controller
from tests.properties.ledger_world import World


def act(world: World, controller: Controller) -> bool:
    """Take the next action that the controller's state calls for; return whether there was one."""
    if controller.kind == "StatefulSet":
        return _stateful_set(world, controller)
    _size_revisions(world, controller)
    return _replica_sets(world, controller)


def finished(world: World, controller: Controller) -> bool:
    """Whether all pods that the controller wants are there, in the newest revision, and ready."""
    pods = [pod for pod in world.of(controller) if not pod.ended]
    newest = f"r{controller.revision}"
    return len(pods) == controller.replicas and all(world.is_ready(p) and p.revision == newest for p in pods)


def _active(world: World, controller: Controller, revision: int | None = None) -> list[Pod]:
    pods = [pod for pod in world.of(controller) if not pod.deleting and not pod.ended]
    return [pod for pod in pods if revision is None or pod.revision == f"r{revision}"]


def _size_revisions(world: World, controller: Controller) -> None:
    sizes, newest = controller.sizes, controller.revision
    old = sorted(revision for revision in sizes if revision != newest and sizes[revision])
    if controller.recreates:
        for revision in old:
            sizes[revision] = 0
        gone = all(pod.revision == f"r{newest}" or pod.ended for pod in world.of(controller))
        sizes[newest] = controller.replicas if gone else 0
        return
    if not old:
        sizes[newest] = controller.replicas
        return
    most = controller.replicas + controller.surge
    sizes[newest] = min(sizes[newest], controller.replicas)
    for revision in old:
        sizes[revision] -= min(sizes[revision], max(0, sizes.total() - most))
    if sizes.total() < most:
        sizes[newest] += max(0, min(most - sizes.total(), controller.replicas - sizes[newest]))
    _scale_down_old(world, controller, old)


def _scale_down_old(world: World, controller: Controller, old: list[int]) -> None:
    sizes, newest = controller.sizes, controller.revision
    least_available = controller.replicas - controller.unavailable

    def available(revision: int) -> int:
        return sum(world.is_ready(pod) for pod in _active(world, controller, revision))

    new_unavailable = sizes[newest] - available(newest)
    spare = sizes.total() - least_available - new_unavailable
    for revision in old:
        unhealthy = min(max(0, spare), sizes[revision] - available(revision))
        sizes[revision] -= max(0, unhealthy)
        spare -= max(0, unhealthy)
    spare = min(spare, sum(available(revision) for revision in (*old, newest)) - least_available)
    for revision in old:
        step = max(0, min(spare, sizes[revision]))
        sizes[revision] -= step
        spare -= step


def _replica_sets(world: World, controller: Controller) -> bool:
    for revision, size in sorted(controller.sizes.items()):
        pods = _active(world, controller, revision)
        if len(pods) < size:
            world.create(controller, revision, _processes(controller, revision))
            return True
        if len(pods) > size:
            victim = max(pods, key=lambda pod: (bool(pod.gates), not pod.node, not world.is_ready(pod), pod.created))
            world.delete(victim.uid)
            return True
    return False


def _stateful_set(world: World, controller: Controller) -> bool:
    by_name = {pod.name: pod for pod in world.of(controller)}
    names = [f"{controller.name}-{ordinal}" for ordinal in range(10)]
    for name in names[: controller.replicas]:
        pod = by_name.get(name)
        if pod is None:
            world.create(controller, controller.revision, _processes(controller, controller.revision), name)
            return True
        if pod.ended and not pod.deleting:
            world.remove(pod.uid)
            return True
        if not world.is_ready(pod):
            return False
    if surplus := [by_name[name] for name in names[controller.replicas :] if name in by_name]:
        return _delete_last(world, surplus)
    newest = f"r{controller.revision}"
    outdated = [by_name[name] for name in names[: controller.replicas] if by_name[name].revision != newest]
    return _delete_last(world, outdated)


def _delete_last(world: World, pods: list[Pod]) -> bool:
    if not pods or pods[-1].deleting:
        return False
    world.delete(pods[-1].uid)
    return True


def _processes(controller: Controller, revision: int) -> int:
    return controller.history[revision]
