"""Pods that come and end: those of Jobs and CronJobs, with init containers and native sidecars."""

from typing import Any

from tests.functional.cluster import budget, kubectl
from tests.functional.manifests import IMAGE, cron_job, job, replica_set
from tests.functional.space import Raw, Space, connections, notice

TWENTY: dict[str, Any] = {"maxConnections": 20, "reservedConnections": 0}


def workload(kind: str, **fields: Any) -> dict[str, Any]:
    version = "batch/v1" if kind in {"Job", "CronJob"} else "apps/v1"
    return {"name": "api", "targetRef": {"apiVersion": version, "kind": kind, "name": "api"}, **fields}


def shell(name: str, script: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], **fields}


def uvicorn(name: str, workers: int, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "command": ["uvicorn", "app:app", "--workers", str(workers)], **fields}


async def test_init_containers_and_sidecars_are_counted_as_kubernetes_runs_them(space: Space) -> None:
    """The init container beside the sidecar (4 + 1) needs more than the application beside it (2 + 1)."""
    several = workload("ReplicaSet", containers=["app", "seed", "cache"])
    pods = replica_set("api", 1)
    pods["spec"]["template"]["spec"] |= {
        "containers": [uvicorn("app", 2)],
        "initContainers": [uvicorn("cache", 1, restartPolicy="Always"), uvicorn("seed", 4)],
    }
    await space.apply(budget(space.name, several, **TWENTY), pods)
    (pod,) = await space.until_pods("api", granted=1)
    assert connections(pod) == 20
    assert pod["metadata"]["annotations"]["env.poolbudget.dev/DB_POOL_SIZE"] == "4"


async def test_every_container_of_a_job_reads_its_settings_and_completed_pods_hold_nothing(space: Space) -> None:
    several = workload("Job", processes=1, containers=["app", "seed", "cache"])
    says = "echo size $DB_POOL_SIZE"
    pods = job(
        "api",
        parallelism=2,
        completions=3,
        containers=[shell("app", says)],
        initContainers=[shell("cache", f"{says}; exec sleep 600", restartPolicy="Always"), shell("seed", says)],
    )
    await space.apply(budget(space.name, several, **TWENTY), pods)
    (done,) = await space.until("Job", lambda jobs: any(is_("Complete", j) for j in jobs), what="it completes")
    assert done["status"]["succeeded"] == 3
    ended = await space.all("Pod")
    assert [connections(pod) for pod in ended] == [10, 10, 10]
    for container in ("app", "seed", "cache"):
        said = kubectl("logs", "-n", space.name, "job/api", "-c", container).stdout
        assert said == "size 10\n", container
    await space.status("orders", lambda s: s["capacity"]["committed"] == 0, what="nothing is committed")
    assert await space.ledger() == {}


async def test_the_pod_that_replaces_a_failed_one_of_a_job_gets_its_room(space: Space) -> None:
    pods = job("api", backoffLimit=1, containers=[shell("app", "exit 1")])
    await space.apply(budget(space.name, workload("Job", processes=1), **TWENTY), pods)
    await space.until("Job", lambda jobs: any(is_("Failed", j) for j in jobs), what="it fails twice", seconds=60)
    assert [connections(pod) for pod in await space.all("Pod")] == [20, 20]
    await space.status("orders", lambda s: s["capacity"]["committed"] == 0, what="nothing is committed")


async def test_runs_of_a_cron_job_wait_for_each_other_and_a_suspended_one_holds_nothing(space: Space) -> None:
    forbid = cron_job("api", concurrencyPolicy="Forbid")
    await space.apply(budget(space.name, workload("CronJob", processes=1), **TWENTY), forbid)
    kubectl("create", "job", "first", "-n", space.name, "--from=cronjob/api")
    (first,) = await space.until_pods("api", granted=1)
    kubectl("create", "job", "second", "-n", space.name, "--from=cronjob/api")
    _, waiting = await space.until_pods("api", granted=1, waiting=1, reason="PodsBeyondPlan")
    assert "1 pods hold grants and the plan has room for 1" in notice(waiting)["message"]

    await space.patch("Job", "first", spec={"suspend": True})
    (second,) = await space.until_pods("api", granted=1)
    assert second["metadata"]["uid"] == waiting["metadata"]["uid"]
    assert (await space.ledger()).keys() == {second["metadata"]["uid"]}
    assert connections(first) == connections(second) == 20


def is_(type_: str, raw: Raw) -> bool:
    conditions = raw.get("status", {}).get("conditions", [])
    return any(c["type"] == type_ and c["status"] == "True" for c in conditions)
