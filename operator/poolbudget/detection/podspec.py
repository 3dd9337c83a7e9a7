"""The part of a pod's spec that decides how many processes it runs and which settings they read.

`parse_pod_spec` is called for pod templates of controllers (offline and live) and for pods that wait for their grant;
`detection.processes` and `planning.settings` work on the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNNAMED_CONTAINER = "user-container"
"""How Knative, alone in allowing it, calls a container without a name
(https://knative.dev/docs/serving/configuration/config-defaults/)."""

DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True, slots=True)
class Variable:
    """One entry of `env`. `value` is None where it comes from `valueFrom`; then `annotation` may name its source."""

    name: str
    value: str | None
    annotation: str | None = None


@dataclass(frozen=True, slots=True)
class Container:
    """One container as Kubernetes starts it: empty `command` and `args` mean what the image says."""

    name: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[Variable, ...] = ()
    has_env_from: bool = False
    image: str = ""


@dataclass(frozen=True, slots=True)
class PodSpec:
    """Containers in the order of the spec. A sidecar is an init container with `restartPolicy: Always`."""

    containers: tuple[Container, ...]
    sidecars: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    default_container: str | None = None

    def targets(self, names: Sequence[str] | None) -> tuple[Container, ...]:
        """Return the containers that open the pools: those named, else the default container, else the first.

        A name that the pod does not have is left out: the caller compares the lengths.
        """
        if names is not None:
            everything = (*self.containers, *self.sidecars, *self.init_containers)
            return tuple(c for c in everything if c.name in names)
        if self.default_container is None:
            return self.containers[:1]
        return tuple(c for c in self.containers if c.name == self.default_container) or self.containers[:1]


def parse_pod_spec(pod: Mapping[str, Any]) -> PodSpec:
    """Read a pod, or a pod template, as the API server gives it (`metadata` and `spec`)."""
    spec = pod.get("spec") or {}
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    init = spec.get("initContainers") or []
    return PodSpec(
        containers=tuple(_container(c) for c in spec.get("containers") or []),
        sidecars=tuple(_container(c) for c in init if c.get("restartPolicy") == "Always"),
        init_containers=tuple(_container(c) for c in init if c.get("restartPolicy") != "Always"),
        default_container=annotations.get(DEFAULT_CONTAINER_ANNOTATION),
    )


def _container(container: Mapping[str, Any]) -> Container:
    return Container(
        name=container.get("name") or UNNAMED_CONTAINER,
        command=tuple(container.get("command") or ()),
        args=tuple(container.get("args") or ()),
        env=tuple(_variable(v) for v in container.get("env") or []),
        has_env_from=bool(container.get("envFrom")),
        image=container.get("image") or "",
    )


def _variable(variable: Mapping[str, Any]) -> Variable:
    source = variable.get("valueFrom")
    if not source:
        return Variable(variable["name"], variable.get("value") or "")
    path = (source.get("fieldRef") or {}).get("fieldPath", "")
    quoted = path.removeprefix("metadata.annotations['").removesuffix("']")
    return Variable(variable["name"], None, quoted if quoted != path else None)
