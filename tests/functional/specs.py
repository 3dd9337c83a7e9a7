"""Short ways to write a spec, for those that are refused (`refusals`) and those that are accepted (`accepted`)."""

from typing import Any

EXTERNAL = {"mode": "External", "external": {"host": "pgb", "connections": 20}}


def workload(**fields: Any) -> dict[str, Any]:
    """Return a spec of 100 connections with one workload that has `fields`."""
    return {"maxConnections": 100, "workloads": [{"name": "api"} | fields]}


def spec(**fields: Any) -> dict[str, Any]:
    """Return a spec of 100 connections with one workload and `fields` of its own."""
    return {"maxConnections": 100, "workloads": [{"name": "api"}]} | fields
