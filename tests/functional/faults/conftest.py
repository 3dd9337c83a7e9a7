"""In this package the operators in the cluster rest, and tests start operators of their own, through faulty proxies."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from poolbudget.kube import Kube
from tests.functional.cluster import operator_away
from tests.functional.faults.operators import Access, Operators, access_as_operator
from tests.functional.faults.proxy import Proxy, serving


@pytest.fixture(scope="package")
def resting(installed: None) -> Iterator[None]:
    """No operator runs in the cluster; the webhook does."""
    with operator_away():
        yield


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
