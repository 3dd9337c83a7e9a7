"""How many processes open pools in one pod of a workload: declared, else detected.

`planning.sizing` asks for the template of a controller; the grant of a waiting pod may ask for the pod's own spec.
"""

from dataclasses import replace
from functools import lru_cache

from poolbudget.api.v1alpha1 import Workload
from poolbudget.detection.podspec import PodSpec
from poolbudget.detection.processes import Processes, Unknown, detect


def pod_processes(workload: Workload, pod: PodSpec | None) -> Processes | Unknown:
    """Return the processes of a pod: the count that the workload declares goes before what its containers show.

    What declared processes are (prefork children or not) is still read from the containers, where they show it.
    """
    detected = _detect(None if workload.containers is None else tuple(workload.containers), pod)
    if workload.processes is None:
        return detected
    if isinstance(detected, Unknown):
        return Processes(workload.processes, "spec")
    return replace(detected, count=workload.processes, source="spec", extra=0)


@lru_cache(maxsize=16_384)
def _detect(names: tuple[str, ...] | None, pod: PodSpec | None) -> Processes | Unknown:
    """Detect the processes of the named containers; remembered, as plans are made often and templates seldom change."""
    if pod is None:
        return Unknown("the pod template is not known: set `processes` of the workload")
    targets = pod.targets(names)
    if missing := sorted(set(names or ()) - {c.name for c in targets}):
        return Unknown(f"the pod has no container {', '.join(missing)}: correct `containers` of the workload")
    # Kubernetes' own rule: init containers run one after another, beside the sidecars, before the rest starts.
    initial = [c for c in targets if c in pod.init_containers]
    sidecars = [c for c in targets if c in pod.sidecars]
    together = [c for c in targets if c not in initial]
    phases = [detect([c, *sidecars]) for c in initial] + ([detect(together)] if together else [])
    if not phases:
        return Unknown("the pod has no containers: set `processes` of the workload")
    for phase in phases:
        if isinstance(phase, Unknown):
            return phase
    return max((p for p in phases if isinstance(p, Processes)), key=lambda p: p.count)
