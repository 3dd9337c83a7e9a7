"""In this package the operators in the cluster rest, and tests start operators of their own, through faulty proxies."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from poolbudget.kube import Kube
from tests.functional.cluster import kubectl
from tests.functional.faults.operators import Access, Operators, access_as_operator
from tests.functional.faults.proxy import Proxy, serving
from tests.functional.space import OPERATOR_NAMESPACE

DEPLOYMENT = "deployment/poolbudget-operator"
PODS = ("pods", "-l", "app.kubernetes.io/name=poolbudget-operator")


@pytest.fixture(scope="package")
def resting(installed: None) -> Iterator[None]:
    """No operator runs in the cluster; the webhook does."""
    replicas = kubectl("get", "-n", OPERATOR_NAMESPACE, DEPLOYMENT, "-o", "jsonpath={.spec.replicas}").stdout
    kubectl("scale", "-n", OPERATOR_NAMESPACE, DEPLOYMENT, "--replicas=0")
    kubectl("wait", "-n", OPERATOR_NAMESPACE, *PODS, "--for=delete", "--timeout=60s")
    yield
    kubectl("scale", "-n", OPERATOR_NAMESPACE, DEPLOYMENT, f"--replicas={replicas}")
    kubectl("rollout", "status", "-n", OPERATOR_NAMESPACE, DEPLOYMENT, "--timeout=60s")


@pytest.fixture(scope="package")
async def access(resting: None, kube: Kube) -> Access:
    return await access_as_operator(kube)


@pytest.fixture
async def operators(access: Access, tmp_path: Path) -> AsyncIterator[Operators]:
    """Starts operators; those that a test leaves are stopped."""
    started = Operators(access, tmp_path)
    yield started
    await started.stop_all()


@pytest.fixture
async def proxy(access: Access) -> AsyncIterator[Proxy]:
    """A proxy of the API server."""
    async with serving(access.server, access.tls) as proxy:
        yield proxy


@pytest.fixture
async def second_proxy(access: Access) -> AsyncIterator[Proxy]:
    """Another one, for a second operator."""
    async with serving(access.server, access.tls) as proxy:
        yield proxy
