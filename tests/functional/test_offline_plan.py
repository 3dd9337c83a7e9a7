"""`poolbudget plan` says of manifests what the operator then reports of the same objects in the cluster."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.functional.cluster import budget
from tests.functional.manifests import autoscaler, deployment, replica_set, stateful_set
from tests.functional.space import Space

ROOT = Path(__file__).parents[2]
UVICORN = [{"name": "app", "image": "poolbudget/example:dev", "command": ["uvicorn", "app:app", "--workers", "3"]}]
WORKLOADS: list[dict[str, Any]] = [
    {"name": "api", "weight": 3, "pool": {"maxOverflow": 2}},
    {"name": "worker", "processes": 2, "targetRef": {"kind": "StatefulSet", "name": "worker"}, "max": "10%"},
    {
        "name": "report",
        "processes": 1,
        "targetRef": {"kind": "ReplicaSet", "name": "report"},
        "pools": [{"name": "read", "weight": 3}, {"name": "write"}],
    },
    {"name": "airflow", "processes": 2, "env": {"profile": "airflow"}},
]
ROLLING = {"type": "RollingUpdate"}
LIVE_ONLY = ("current", "waiting", "committed", "inUse")
"""What only a cluster can tell; offline it is 0 or absent."""


def offline(*paths: str, stdin: str) -> list[dict[str, Any]]:
    """Return the items of the plan."""
    command = [str(Path(sys.executable).parent / "poolbudget"), "plan", "-o", "json", *paths]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
    return items


def planned_part(workload: dict[str, Any]) -> dict[str, Any]:
    """Return a workload's status without what only a cluster can tell."""
    return {
        name: {key: part for key, part in value.items() if key not in LIVE_ONLY} if isinstance(value, dict) else value
        for name, value in workload.items()
    }


async def test_the_offline_plan_is_the_live_one(space: Space) -> None:
    manifests = [
        budget(space.name, *WORKLOADS, maxConnections=150),
        deployment("api", 2, strategy=ROLLING, containers=UVICORN),
        autoscaler("api", 3),
        stateful_set("worker", 2),
        replica_set("report", 1),
        deployment("airflow", 1),
    ]
    named = [m | {"metadata": {**m["metadata"], "namespace": space.name}} for m in manifests]
    (item,) = offline("-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": named}))
    await space.apply(*named)
    expected = {w["name"]: planned_part(w) for w in item["status"]["workloads"]}
    assert {w["reason"] for w in expected.values()} == {"FitsDirectly"}

    def agrees(status: dict[str, Any]) -> bool:
        return {w["name"]: planned_part(w) for w in status.get("workloads", [])} == expected

    status = await space.status("orders", agrees, what=f"its workloads are {expected}")
    assert status["capacity"]["usable"] == item["status"]["capacity"]["usable"]
    assert status["capacity"]["planned"] == item["status"]["capacity"]["planned"]


def test_what_kustomize_renders_is_planned() -> None:
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "examples" / "demo" / "budget")], capture_output=True, text=True, check=True
    )
    (item,) = offline("-f", "-", stdin=rendered.stdout)
    assert item["metadata"] == {"name": "orders-db", "namespace": "poolbudget-demo"}
    assert [w["name"] for w in item["status"]["workloads"]] == ["api", "worker"]
