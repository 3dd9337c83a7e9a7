"""How many processes a container runs, read from its spec alone; nothing is guessed."""

from collections.abc import Iterable
from dataclasses import dataclass

from poolbudget.detection.command import parse
from poolbudget.detection.environment import UndetectableError
from poolbudget.detection.podspec import Container
from poolbudget.detection.servers import count


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that open pools in a pod. `source` says where the count stands.

    `prefork` marks Celery-like children, which do one task at a time. `extra` are connections that hidden processes may
    open beyond the pools (a parent that keeps its own).
    """

    count: int
    source: str
    prefork: bool = False
    extra: int = 0


@dataclass(frozen=True, slots=True)
class Unknown:
    """The count cannot be read. `message` says why and what to write instead."""

    message: str


def detect(containers: Iterable[Container]) -> Processes | Unknown:
    """Add up the processes of the target containers of one pod.

    One container that cannot be read makes the sum `Unknown`. The sum is `prefork` only if every container is.
    """
    found = [_detect(container) for container in containers]
    unknown = next((result for result in found if isinstance(result, Unknown)), None)
    if unknown:
        return unknown
    known = [result for result in found if isinstance(result, Processes)]
    if not known:
        return Unknown("the pod has no such container: name one of its containers in spec.workloads[].containers")
    return Processes(
        count=sum(result.count for result in known),
        source="; ".join(result.source for result in known),
        prefork=all(result.prefork for result in known),
        extra=sum(result.extra for result in known),
    )


def _detect(container: Container) -> Processes | Unknown:
    try:
        found, prefork = count(parse(container))
    except UndetectableError as error:
        remedy = f"write {error.option} N in the command, or set" if error.option else "set"
        return Unknown(f"container {container.name}: {error.reason}; {remedy} spec.workloads[].processes")
    return Processes(found.processes, f"container {container.name}: {found.source}", prefork)
