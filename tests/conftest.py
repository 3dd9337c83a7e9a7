"""What tests on a real cluster share: the installed operator and webhook, and a namespace for each test.

They run where kubectl reaches a cluster that has the project's images, as under `make e2e`.
"""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from poolbudget.kube import Kube
from tests.functional.cluster import DEPLOY, install, kubectl
from tests.functional.space import OPERATOR_NAMESPACE, Space


@pytest.fixture(scope="session")
def installed() -> Iterator[None]:
    """Operator and webhook run as they were built last. Where they ran before they stay, else they are removed."""
    phase = kubectl(
        "get", "namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "-o", "jsonpath={.status.phase}"
    ).stdout
    if phase == "Terminating":  # an earlier run of the tests has just ended
        kubectl("wait", "--for=delete", f"namespace/{OPERATOR_NAMESPACE}", "--timeout=60s")
    install()
    yield
    if phase != "Active":
        kubectl("delete", "-k", str(DEPLOY), "--ignore-not-found", "--wait=false")


@pytest.fixture
def namespace() -> Iterator[str]:
    """Make a namespace for one test; all that is in it goes with it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("wait", "-n", name, "--for=create", "serviceaccount/default", "--timeout=60s")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
async def kube() -> AsyncIterator[Kube]:
    """The API server, as whoever runs the tests."""
    async with Kube.connect() as kube:
        yield kube


@pytest.fixture
async def space(installed: None, kube: Kube, namespace: str) -> AsyncIterator[Space]:
    """The test's namespace, with operator and webhook at work; its ledger goes with it."""
    space = Space(kube, namespace)
    yield space
    await space.forget()
