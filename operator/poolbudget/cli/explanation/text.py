"""The readable form of an explanation. Pure; `cli.explain` prints it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from poolbudget.cli.table import ABSENT, aligned, pools_text

Document = Mapping[str, Any]
Columns = Mapping[str, Callable[[Document], Any]]
"""Headings, and where the cell below each comes from."""

WORKLOADS: Columns = {
    "WORKLOAD": lambda w: w["name"],
    "MODE": lambda w: w["mode"],
    "PROCESSES": lambda w: w.get("processes"),
    "POOL": pools_text,
    "PER POD": lambda w: w.get("connections", {}).get("perPod"),
    "PODS": lambda w: w.get("pods", {}).get("current"),
    "PLANNED": lambda w: w.get("pods", {}).get("steady"),
    "WAITING": lambda w: w.get("pods", {}).get("waiting"),
    "GRANTED": lambda w: w.get("connections", {}).get("committed"),
    "IN USE": lambda w: w.get("connections", {}).get("inUse"),
    "REASON": lambda w: w["reason"],
}
HELD: Columns = {
    "STATE": lambda p: p["state"],
    "SINCE": lambda p: p["age"],
    "MODE": lambda p: p.get("mode"),
    "GRANTED": lambda p: p.get("granted"),
    "CONFIGURED": lambda p: p.get("configured"),
    "CLIENTS": lambda p: p.get("clients"),
    "IN USE": lambda p: p.get("inUse"),
}
PODS: Columns = {"POD": lambda p: p["name"], "WORKLOAD": lambda p: p["workload"].rpartition("/")[2], **HELD}
HOLDERS: Columns = {
    "HOLDS THE REST": lambda p: f"{p['namespace']}/{p['name']}",
    "WORKLOAD": lambda p: p["workload"],
    **HELD,
}
OTHERS: Columns = {
    "OTHER BUDGETS": lambda o: o["budget"],
    "PODS": lambda o: o["pods"],
    "GRANTED": lambda o: o["granted"],
}
SETTINGS: Columns = {
    "VARIABLE": lambda s: s["variable"],
    "VALUE": lambda s: s["value"],
    "FROM": lambda s: s["source"],
    "CONTAINER": lambda s: s["container"],
}
NUMBERS = frozenset(
    {"PROCESSES", "PER POD", "PODS", "PLANNED", "WAITING", "GRANTED", "CONFIGURED", "CLIENTS", "IN USE", "SINCE"}
)
MOST_HOLDERS = 10
FIGURES = {
    "granted": "granted",
    "configured": "configured",
    "clients": "client connections to the pooler",
    "inUse": "in use",
}


def budget_text(document: Document, now: datetime) -> str:
    """Return the lines of `poolbudget explain BUDGET`."""
    pods = [_dated(pod, now) for pod in document["pods"]]
    return _blocks(
        _server(document, now),
        _table(WORKLOADS, document["workloads"]),
        _remarks(workload for workload in document["workloads"] if workload["reason"] != "FitsDirectly"),
        _table(PODS, pods),
        _remarks(pods),
        _table(OTHERS, document["others"]),
        _gaps(document),
    )


def pod_text(document: Document, now: datetime) -> str:
    """Return the lines of `poolbudget explain POD`."""
    holders = [_dated(holder, now) for holder in document["holders"]]
    shown, more = holders[:MOST_HOLDERS], len(holders) - MOST_HOLDERS
    return _blocks(
        _pod(_dated(document["pod"], now)),
        _server(document, now),
        _table(SETTINGS, document["pod"]["settings"]),
        _table(HOLDERS, shown) + ([f"  and {more} more pods"] if more > 0 else []),
        _remarks(shown),
        _gaps(document),
    )


def age(since: str | None, now: datetime) -> str | None:
    """Return how long ago a moment (RFC 3339) was, in its largest sensible unit: 90s, 12m, 3h, 5d."""
    if since is None:
        return None
    seconds = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _pod(pod: Document) -> list[str]:
    state = pod["state"] + (f" for {pod['age']}" if pod["age"] else "")
    lines = [f"Pod {pod['namespace']}/{pod['name']} of {pod['workload']}: {state}"]
    if figures := [f"{pod[key]} {words}" for key, words in FIGURES.items() if key in pod]:
        lines.append(f"  {', '.join(figures)}")
    return lines + ([f"  {_remark(pod)}"] if "message" in pod else [])


def _server(document: Document, now: datetime) -> list[str]:
    capacity = document["capacity"]
    lines = [f"PoolBudget {document['budget']}: {_readiness(document, now)}"]
    if "usable" in capacity:
        lines.append(f"server {document['server']}: {_figures(capacity)}")
    lines += [
        f"the database cannot be read: {condition['reason']}: {condition['message']}"
        for condition in document["conditions"]
        if condition["type"] == "CapacityObserved" and condition["status"] == "False"
    ]
    return lines + ([_leading(document["leader"], now)] if document["leader"] else [])


def _readiness(document: Document, now: datetime) -> str:
    if not document["exists"]:
        return "does not exist: its pods wait until it does"
    ready = next((c for c in document["conditions"] if c["type"] == "Ready"), None)
    if ready is None:
        return "no operator has looked at it yet"
    lasting = f"for {age(ready['lastTransitionTime'], now)}"
    outdated = "" if document["upToDate"] else " (the spec has changed since)"
    if ready["status"] == "True":
        return f"ready {lasting}{outdated}"
    return f"not ready {lasting}{outdated}: {ready['reason']}: {ready['message']}"


def _figures(capacity: Document) -> str:
    usable, committed, granted = capacity["usable"], capacity["committed"], capacity["granted"]
    besides = 0 if granted is None else committed - granted
    shares = f" ({granted} to pods, {besides} otherwise)" if besides > 0 else ""
    free = f"{usable - committed} free" if committed <= usable else f"{committed - usable} too many"
    in_use = f", {capacity['inUse']} in use" if "inUse" in capacity else ""
    return f"{usable} usable, {committed} committed{shares}, {free}{in_use}"


def _leading(leader: Document, now: datetime) -> str:
    if leader["leads"]:
        return f"{leader['holder']} has led for {age(leader['since'], now)}"
    lasting = f" for {age(leader['since'], now)}" if leader["since"] else ""
    last = f" ({leader['holder']} was the last)" if leader["holder"] else ""
    return f"no operator has led{lasting}{last}"


def _dated(pod: Document, now: datetime) -> Document:
    return {**pod, "age": age(pod.get("since"), now)}


def _remarks(named: Iterable[Document]) -> list[str]:
    return [f"  {each['name']}: {_remark(each)}" for each in named if "message" in each]


def _remark(named: Document) -> str:
    return f"{named['reason']}: {named['message']}" if "reason" in named else str(named["message"])


def _gaps(document: Document) -> list[str]:
    return [f"note: {gap}" for gap in document["gaps"]]


def _table(columns: Columns, documents: Sequence[Document]) -> list[str]:
    """Return an aligned table without the columns that are empty; nothing where there is nothing to show."""
    cells = {heading: [cell(document) for document in documents] for heading, cell in columns.items()}
    filled = {heading: column for heading, column in cells.items() if any(cell is not None for cell in column)}
    rows = [[ABSENT if cell is None else str(cell) for cell in row] for row in zip(*filled.values(), strict=True)]
    return aligned([list(filled), *rows], NUMBERS) if rows else []


def _blocks(*blocks: list[str]) -> str:
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)
