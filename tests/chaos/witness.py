"""What the cluster shows while faults happen: which rollouts finished, and how long pods waited at the gate.

`__main__` looks at the cluster every half second and passes on what it saw; `report` asks for the sums. Pure: time
comes in, in seconds of any one clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.functional.space import Raw, is_gated


@dataclass
class Rollout:
    """One rollout; it is finished when its Deployment is complete at its generation or a later one."""

    workload: str
    generation: int
    begun: float
    finished: float | None = None


@dataclass
class Wait:
    """When a pod was first and last seen at the gate."""

    pod: str
    first: float
    last: float

    @property
    def seconds(self) -> float:
        """How long it was seen to wait."""
        return self.last - self.first


@dataclass
class Witness:
    """Takes note of everything, in the order in which it happens."""

    rollouts: list[Rollout] = field(default_factory=list)
    waits: dict[str, Wait] = field(default_factory=dict)

    def rollout_begun(self, workload: str, generation: int, now: float) -> None:
        """Note a rollout by the generation that the change of its template made."""
        self.rollouts.append(Rollout(workload, generation, now))

    def see(self, deployments: Iterable[Raw], pods: Iterable[Raw], now: float) -> None:
        """Take in what the API server showed at `now`."""
        for deployment in deployments:
            if is_complete(deployment):
                self._finish(deployment["metadata"]["name"], deployment["status"]["observedGeneration"], now)
        for pod in pods:
            if is_gated(pod):
                metadata = pod["metadata"]
                self.waits.setdefault(metadata["uid"], Wait(metadata["name"], now, now)).last = now

    def unfinished(self) -> list[Rollout]:
        """Return the rollouts that go on."""
        return [rollout for rollout in self.rollouts if rollout.finished is None]

    def longest_wait(self) -> float:
        """Return how long a pod waited at most, whether it was granted or deleted in the end."""
        return max((wait.seconds for wait in self.waits.values()), default=0.0)

    def longest_rollout(self) -> float:
        """Return how long the finished rollouts took at most, those superseded by a later one included."""
        return max((r.finished - r.begun for r in self.rollouts if r.finished is not None), default=0.0)

    def _finish(self, workload: str, generation: int, now: float) -> None:
        for rollout in self.unfinished():
            if rollout.workload == workload and rollout.generation <= generation:
                rollout.finished = now


def is_complete(deployment: Raw) -> bool:
    """Whether all pods are of the newest revision and available, and no other is left (as `kubectl rollout status`)."""
    wanted, status = deployment["spec"]["replicas"], deployment.get("status", {})
    current = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    figures = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return current and figures == {wanted}
