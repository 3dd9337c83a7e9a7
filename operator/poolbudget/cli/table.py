"""The readable form of a plan: one table for each budget, and below it what does not fit.

`cli.plan` calls `render` with the items that the other forms print as they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = ("WORKLOAD", "MODE", "PROCESSES", "PODS", "PEAK", "POOL", "PER POD", "PLANNED", "SAFE MAX", "REASON")
NUMBERS = frozenset({"PROCESSES", "PODS", "PEAK", "PER POD", "PLANNED", "SAFE MAX"})
ABSENT = "-"


def render(items: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of all budgets, in order."""
    return "\n\n".join(_budget(item["metadata"], item["status"]) for item in items)


def _budget(metadata: Mapping[str, str], status: Mapping[str, Any]) -> str:
    capacity, workloads = status["capacity"], status["workloads"]
    of_declared = f"maxConnections {capacity['declared']}, reserved {capacity['reserved']}"
    planned = f"{capacity['planned']} of {capacity['usable']} usable connections planned ({of_declared})"
    lines = [f"PoolBudget {metadata['namespace']}/{metadata['name']}: {planned}"]
    lines += aligned([COLUMNS, *map(_row, workloads)], NUMBERS)
    if "pooler" in status:
        lines.append(f"  {pooler_text(status['pooler'])}")
    failing = [c["message"] for c in status["conditions"] if c["status"] == "False"]
    lines += [f"  {w['name']}: {w['message']}" for w in workloads if not _is_said(w["message"], failing)]
    lines += failing
    lines += [f"not yet supported: {c['message']}" for c in status["conditions"] if c["type"] == "NotYetSupported"]
    return "\n".join(lines)


def _row(workload: Mapping[str, Any]) -> tuple[str, ...]:
    pods, connections = workload.get("pods", {}), workload.get("connections", {})
    cells = (
        workload["name"],
        workload["mode"],
        workload.get("processes"),
        pods.get("steady"),
        pods.get("peak"),
        pools_text(workload),
        connections.get("perPod"),
        connections.get("planned"),
        workload.get("safeMaxReplicas"),
        workload["reason"],
    )
    return tuple(ABSENT if cell is None else str(cell) for cell in cells)


def pooler_text(pooler: Mapping[str, Any]) -> str:
    """Return where a pooler is, and what it may take."""
    takes = f"{pooler['connections']} connections for {pooler['clients']} client connections"
    pods = f" in {pooler['replicas']} pods" if "replicas" in pooler else ""
    return f"pooler {pooler['host']}:{pooler['port']}: {takes}{pods}"


def _is_said(message: str, failing: Sequence[str]) -> bool:
    """Whether a message of a workload begins as one of those does that say what does not fit."""
    return any(message.partition(";")[0] in said for said in failing)


def pools_text(workload: Mapping[str, Any]) -> str | None:
    """Return the pools of a process, None where there are none."""
    if workload["mode"] == "NullPool":
        return None
    pools = workload.get("pools") or [workload[key] for key in ("pool",) if key in workload]
    return ", ".join(_pool(pool) for pool in pools) or None


def _pool(pool: Mapping[str, Any]) -> str:
    """Return a pool as size + overflow."""
    name = f"{pool['name']} " if "name" in pool else ""
    return f"{name}{pool['size']}+{pool['overflow']}"


def aligned(rows: Sequence[Sequence[str]], numbers: frozenset[str]) -> list[str]:
    """Return the rows as lines, the columns whose headings are in `numbers` to the right; the first row is headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if heading in numbers else cell.ljust(width)
            for heading, cell, width in zip(rows[0], row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
