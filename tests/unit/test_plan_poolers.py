"""`poolbudget plan` with poolers: what it shows of them, and how workloads that are behind one read."""

import json
from pathlib import Path

from tests.unit.plan_manifests import API, planned, run

BUDGET = """
apiVersion: poolbudget.dev/v1alpha1
kind: PoolBudget
metadata: {name: orders, namespace: shop}
spec:
  maxConnections: 100
  database: {host: orders-db}
  pooler: {mode: External, external: {host: bouncer, connections: 40}}
  workloads:
  - {name: api, route: Env}
  - {name: report, route: Env, targetRef: {apiVersion: batch/v1, kind: CronJob, name: report}}
  - {name: worker}
"""
WORKER = API.replace("name: api", "name: worker").replace('"4"', '"1"')
REPORT = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: shop}
spec:
  concurrencyPolicy: Forbid
  jobTemplate: {spec: {template: {spec: {containers: [{name: app, command: [uvicorn, "app:app"]}]}}}}
"""
MORE = API.replace("replicas: 4", "replicas: 8")
ALL = "---".join((BUDGET, MORE, WORKER, REPORT))

TABLE = """\
PoolBudget shop/orders: 90 of 90 usable connections planned (maxConnections 100, reserved 10)
  WORKLOAD  MODE      PROCESSES  PODS  PEAK  POOL  PER POD  PLANNED  SAFE MAX  REASON
  api       Pooled            4     8     9  20+0        0        0         -  DirectDoesNotFit
  report    NullPool          1     1     1  -           0        0         -  Serverless
  worker    Direct            1     4     5  10+0       10       50        24  FitsDirectly
  pooler bouncer:6432: 40 connections for 740 client connections
  api: each of 4 processes of a pod has a pool of 20 connections to the pooler, limited by maxPerProcess; \
direct pools would need 82 of 50 connections at the floor
  report: its process of a pod has no pool and at most 20 connections to the pooler, limited by maxPerProcess; \
the pods of a CronJob come and go
  worker: its process of a pod gets 10 connections, its part of what is usable
"""


def test_the_table_shows_the_modes_and_the_pooler() -> None:
    result = run("-f", "-", stdin=ALL)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == TABLE


def test_json_has_the_pooler() -> None:
    status = planned(ALL)
    assert status["pooler"] == {"host": "bouncer", "port": 6432, "connections": 40, "clients": 740}
    assert [w["mode"] for w in status["workloads"]] == ["Pooled", "NullPool", "Direct"]
    assert "safeMaxReplicas" not in status["workloads"][0]
    assert [c["type"] for c in status["conditions"]] == ["WorkloadsFit"]


def test_a_comparison_shows_the_move(tmp_path: Path) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(ALL.replace("replicas: 8", "replicas: 1"))
    text = run("-f", "-", "--diff", str(old), stdin=ALL).stdout
    (api,) = (" ".join(line.split()) for line in text.splitlines() if line.startswith("  api"))
    assert api.startswith("api Direct -> Pooled 1 -> 8 4")
    assert (
        "bouncer:6432: 40 connections for 20 client connections -> pooler bouncer:6432: 40 connections for 740" in text
    )


def test_what_cannot_be_sent_to_its_pooler_does_not_fit() -> None:
    result = run("-f", "-", "-o", "json", stdin=ALL.replace("name: api, route: Env", "name: api, mode: Pooled"))
    assert result.exit_code == 1
    assert "api: it cannot be sent to a pooler: set `route: Env` of the workload" in result.stderr
    assert json.loads(result.stdout)["items"][0]["status"]["workloads"][0]["reason"] == "Unroutable"
