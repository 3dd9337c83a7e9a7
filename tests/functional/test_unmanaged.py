"""Pods that never passed admission, on a real API server. Without a database they are charged 15 for each process."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional.cluster import DEPLOY, budget, eventually, is_admitting, kubectl, pod
from tests.functional.manifests import deployment, labels, replica_set, unlabelled
from tests.functional.space import Space, connections, is_gated, notice

API = {"name": "api", "processes": 1}
SURGE = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def usable(connections: int) -> dict[str, Any]:
    return {"maxConnections": connections, "reservedConnections": 0}


async def charged(space: Space, pods: int, connections: int) -> None:
    """Wait until the status counts so many pods without a grant, and so many connections for them."""

    def counts(status: dict[str, Any]) -> bool:
        (workload,) = status["workloads"]
        shown = (workload["reason"], workload.get("pods", {}).get("current"), status["capacity"]["committed"])
        return shown == ("Unmanaged", pods, connections)

    status = await space.status("orders", counts, what=f"{pods} unmanaged pods take {connections}")
    holders = "1 pod without a grant holds" if pods == 1 else f"{pods} pods without a grant hold"
    assert status["workloads"][0]["message"].startswith(f"{holders} {connections} (api-")


@pytest.mark.parametrize("mode", ["Off", "Initial"])
async def test_the_pods_of_a_workload_that_has_no_labels_are_charged_as_they_come_and_go(
    space: Space, mode: str
) -> None:
    await space.apply(unlabelled(deployment("api", 2)))
    await space.apply(budget(space.name, API, **usable(100), updateMode=mode))
    await charged(space, 2, 30)
    await space.scale("Deployment", "api", 3)
    await charged(space, 3, 45)
    await space.scale("Deployment", "api", 1)
    await charged(space, 1, 15)
    assert not await space.ledger()


async def test_a_namespace_is_looked_at_anew_when_its_only_budget_returns(space: Space) -> None:
    await space.apply(unlabelled(deployment("api", 1)), budget(space.name, API, **usable(100)))
    await charged(space, 1, 15)
    await space.delete("PoolBudget", "orders")
    await space.scale("Deployment", "api", 2)
    await space.apply(budget(space.name, API, **usable(100)))
    await charged(space, 2, 30)


async def test_pods_of_other_controllers_are_nobodys(space: Space) -> None:
    await space.apply(unlabelled(deployment("api", 1)), unlabelled(replica_set("other", 3)))
    await space.apply(budget(space.name, API, **usable(100)))
    await charged(space, 1, 15)


async def test_a_labelled_pod_that_was_opened_without_a_grant_is_charged(space: Space) -> None:
    await space.apply(budget(space.name, API, **usable(100), updateMode="Off"), deployment("api", 2))
    await charged(space, 2, 30)


async def test_a_workload_whose_labels_are_removed_is_charged_for_what_its_new_pods_may_open(space: Space) -> None:
    await space.apply(budget(space.name, API, **usable(100)), deployment("api", 2))
    await space.until_pods("api", granted=2)
    without = dict.fromkeys(set(labels("api")) - {"app"})
    await space.patch("Deployment", "api", spec={"template": {"metadata": {"labels": without}}})
    await charged(space, 2, 30)
    assert not await space.ledger()


@pytest.mark.parametrize(
    ("pods", "free", "stay", "remedy"),
    [
        pytest.param(2, 1, 1, "scale the Deployment to 1 first", id="one stays"),
        pytest.param(1, 1, 0, "scale the Deployment to 0, and back once its pods are gone", id="none stays"),
    ],
)
async def test_an_adoption_that_its_own_old_pods_block_goes_on_after_what_the_message_says(
    space: Space, pods: int, free: int, stay: int, remedy: str
) -> None:
    old = deployment("api", pods, strategy=SURGE, parked=False)
    await space.apply(budget(space.name, API, **usable(15 * pods + free)), unlabelled(old))
    await charged(space, pods, 15 * pods)
    await space.patch("Deployment", "api", spec={"template": {"metadata": {"labels": labels("api")}}})
    (waiting,) = await space.until_pods("api", waiting=1, reason="AdoptionBlocked")
    assert notice(waiting)["message"].startswith(f"needs 2, free {free}; ")
    assert notice(waiting)["message"].endswith(f": {remedy}")

    await space.scale("Deployment", "api", stay)
    kubectl("rollout", "status", "-n", space.name, "deployment/api", "--timeout=60s")
    await space.scale("Deployment", "api", pods)
    granted = await space.until_pods("api", granted=pods)
    assert all(connections(pod) >= 2 for pod in granted)
    await space.status("orders", lambda s: s["workloads"][0]["reason"] == "FitsDirectly", what="all pods are adopted")


@pytest.fixture
def no_admission(installed: None) -> Iterator[None]:
    """Neither webhook nor guard is in force, as while somebody gets himself out of trouble."""
    kubectl("delete", "validatingadmissionpolicybinding,mutatingwebhookconfiguration", "poolbudget")
    yield
    kubectl("apply", "-k", str(DEPLOY))
    eventually(is_admitting, "labelled pods come back gated")


def is_left_alone(probe: dict[str, Any]) -> bool:
    created = kubectl("create", "-f", "-", "--dry-run=server", "-o", "json", stdin=probe, check=False)
    return created.returncode == 0 and not is_gated(json.loads(created.stdout))


async def test_labelled_pods_born_while_the_webhook_was_away_are_charged(no_admission: None, space: Space) -> None:
    eventually(lambda: is_left_alone(pod(space.name, "probe")), "nobody refuses or gates labelled pods")
    await space.apply(deployment("api", 2), budget(space.name, API, **usable(100)))
    await charged(space, 2, 30)
