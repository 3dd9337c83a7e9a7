"""A small set of manifests, and `poolbudget plan` run on some of them."""

import json
from typing import Any

from click.testing import CliRunner, Result

from poolbudget.cli import main

BUDGET = """
apiVersion: poolbudget.dev/v1alpha1
kind: PoolBudget
metadata: {name: orders, namespace: shop}
spec: {maxConnections: 200, workloads: [{name: api}]}
"""
API = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  replicas: 4
  template: {spec: {containers: [{name: app, command: [uvicorn, "app:app", --workers, "4"]}]}}
"""
HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: any, namespace: shop}
spec: {maxReplicas: 6, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: api}}
"""


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(main, ["plan", *arguments], input=stdin)


def planned(*documents: str) -> dict[str, Any]:
    result = run("-f", "-", "-o", "json", stdin="---".join(documents))
    assert result.exit_code == 0, result.output
    status: dict[str, Any] = json.loads(result.stdout)["items"][0]["status"]
    return status
