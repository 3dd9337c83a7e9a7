"""Reading pods and pod templates as the API server gives them."""

from typing import Any

import pytest

from poolbudget.detection.podspec import Container, Variable, parse_pod_spec


def pod(*, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations}, "spec": spec}


def test_a_container_is_read_as_kubernetes_starts_it() -> None:
    spec = {
        "name": "app",
        "image": "registry/app:1",
        "command": ["uvicorn"],
        "args": ["app:app"],
        "env": [
            {"name": "LITERAL", "value": "1"},
            {"name": "EMPTY"},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {
                "name": "SIZE",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['env.poolbudget.dev/SIZE']"}},
            },
        ],
        "envFrom": [{"configMapRef": {"name": "more"}}],
    }
    assert parse_pod_spec(pod(containers=[spec])).containers == (
        Container(
            "app",
            command=("uvicorn",),
            args=("app:app",),
            env=(
                Variable("LITERAL", "1"),
                Variable("EMPTY", ""),
                Variable("SECRET", None),
                Variable("IP", None),
                Variable("SIZE", None, "env.poolbudget.dev/SIZE"),
            ),
            has_env_from=True,
            image="registry/app:1",
        ),
    )


def test_what_is_absent_or_null_is_empty() -> None:
    nulls = {"name": "app", "command": None, "args": None, "env": None, "envFrom": None}
    assert parse_pod_spec(pod(containers=[nulls])).containers == (Container("app"),)
    assert parse_pod_spec({}).containers == ()


def test_a_sidecar_is_an_init_container_that_restarts() -> None:
    init = [{"name": "migrate"}, {"name": "proxy", "restartPolicy": "Always"}]
    spec = parse_pod_spec(pod(containers=[{"name": "app"}], initContainers=init))
    assert [c.name for c in spec.sidecars] == ["proxy"]
    assert [c.name for c in spec.init_containers] == ["migrate"]


@pytest.mark.parametrize(
    ("annotation", "names", "expected"),
    [
        pytest.param(None, None, ["first"], id="the first container"),
        pytest.param("second", None, ["second"], id="the default-container annotation"),
        pytest.param("gone", None, ["first"], id="an annotation that names no container"),
        pytest.param("second", ["first", "proxy"], ["first", "proxy"], id="the containers named, sidecars too"),
        pytest.param(None, ["first", "gone"], ["first"], id="a name that the pod does not have is left out"),
        pytest.param(None, [], [], id="an empty list names none"),
    ],
)
def test_the_targets_are(annotation: str | None, names: list[str] | None, expected: list[str]) -> None:
    annotations = {"kubectl.kubernetes.io/default-container": annotation} if annotation else None
    containers = [{"name": "first"}, {"name": "second"}]
    init = [{"name": "proxy", "restartPolicy": "Always"}]
    spec = parse_pod_spec(pod(annotations=annotations, containers=containers, initContainers=init))
    assert [c.name for c in spec.targets(names)] == expected
