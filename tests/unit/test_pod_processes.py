"""How the containers of one pod add up: init containers run one after another, beside the sidecars."""

import pytest

from poolbudget.api.v1alpha1 import Workload
from poolbudget.detection.podspec import Container, PodSpec
from poolbudget.detection.processes import Processes, Unknown
from poolbudget.planning.processes import pod_processes


def server(name: str, workers: int) -> Container:
    return Container(name, command=("uvicorn", "app:app", "--workers", str(workers)))


APP, OTHER, CACHE, LOGS = server("app", 2), server("other", 3), server("cache", 1), server("logs", 1)
SEED, MIGRATE = server("seed", 4), server("migrate", 2)


@pytest.mark.parametrize(
    ("pod", "names", "count"),
    [
        pytest.param(PodSpec((APP, OTHER)), None, 2, id="the first container, if none is named"),
        pytest.param(PodSpec((APP, OTHER)), ["app", "other"], 5, id="containers run together"),
        pytest.param(PodSpec((APP,), sidecars=(CACHE,)), None, 2, id="a sidecar that is not named opens no pools"),
        pytest.param(PodSpec((APP,), sidecars=(CACHE,)), ["app", "cache"], 3, id="a sidecar runs beside them"),
        pytest.param(
            PodSpec((APP,), init_containers=(MIGRATE,)), ["app", "migrate"], 2, id="an init container runs before them"
        ),
        pytest.param(PodSpec((APP,), init_containers=(SEED,)), ["app", "seed"], 4, id="and may need more than they do"),
        pytest.param(
            PodSpec((APP,), init_containers=(SEED, MIGRATE)),
            ["app", "seed", "migrate"],
            4,
            id="init containers run one after another",
        ),
        pytest.param(
            PodSpec((APP,), (CACHE, LOGS), (SEED,)), ["app", "seed", "cache", "logs"], 6, id="beside all sidecars"
        ),
        pytest.param(
            PodSpec((OTHER,), (CACHE, LOGS), (MIGRATE,)),
            ["other", "migrate", "cache", "logs"],
            5,
            id="the containers beside the sidecars may need most",
        ),
        pytest.param(PodSpec((APP,), init_containers=(SEED,)), ["seed"], 4, id="an init container alone"),
    ],
)
def test_the_processes_of_a_pod(pod: PodSpec, names: list[str] | None, count: int) -> None:
    found = pod_processes(Workload(name="api", containers=names), pod)
    assert isinstance(found, Processes)
    assert found.count == count


def test_what_is_declared_goes_before_what_the_containers_show() -> None:
    found = pod_processes(Workload(name="api", processes=7), PodSpec((APP,), (CACHE,), (SEED,)))
    assert isinstance(found, Processes)
    assert found.count == 7


def test_one_container_that_cannot_be_read_leaves_the_pod_unknown() -> None:
    pod = PodSpec((APP,), init_containers=(Container("seed", command=("./seed",)),))
    assert isinstance(pod_processes(Workload(name="api", containers=["app", "seed"]), pod), Unknown)
