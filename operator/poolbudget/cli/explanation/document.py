"""A picture as one document: what `-o json` prints and `text` turns to lines. Pure: the time comes in.

`cli.explain` calls `of_budget` and `of_pod`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from poolbudget.cli.explanation.picture import Picture
from poolbudget.cli.explanation.pods import Row, configured, excess, row, settings_of, vanished
from poolbudget.ledger.model import Ledger, Reservation
from poolbudget.planning.model import BudgetKey

Document = dict[str, Any]
STATES = ("vanished", "terminating", "ended", "running", "starting", "unscheduled", "unknown", "waiting")
"""In the order of pods: those that will soon free what they hold come first, and those that wait for it last."""


def of_budget(picture: Picture, now: datetime) -> Document:
    """Return who holds what of a budget, and what its server has."""
    rows = _rows(picture)
    return {
        "budget": str(picture.key),
        **_server(picture, now),
        "workloads": ((picture.budget or {}).get("status") or {}).get("workloads") or [],
        "pods": [_plain(r) for r in rows if r.workload.budget_key == picture.key],
        "others": _others(rows, picture.key),
        "gaps": list(picture.gaps),
    }


def of_pod(picture: Picture, uid: str, now: datetime) -> Document:
    """Return what one pod holds or waits for, its settings, and who holds what of the server beside it."""
    rows = _rows(picture)
    mine = next(r for r in rows if r.uid == uid)
    holders = [r for r in rows if r.uid != uid and r.uid in (picture.ledger or {})]
    return {
        "budget": str(picture.key),
        "pod": {**_plain(mine), "settings": [asdict(setting) for setting in mine.settings]},
        **_server(picture, now),
        "holders": [_plain(r) for r in sorted(holders, key=lambda r: (STATES.index(r.state), -(r.granted or 0)))],
        "gaps": list(picture.gaps),
    }


def _server(picture: Picture, now: datetime) -> Document:
    """Return what pods of a budget share: the server, who leads, the conditions."""
    budget = picture.budget or {"metadata": {}}
    status = budget.get("status") or {}
    return {
        "exists": picture.budget is not None,
        "server": picture.server,
        "leader": _leader(picture.lease, now),
        "upToDate": status.get("observedGeneration") == budget["metadata"].get("generation"),
        "conditions": status.get("conditions") or [],
        "capacity": {**(status.get("capacity") or {}), "granted": _granted(picture.ledger)},
    }


def _leader(lease: Mapping[str, Any] | None, now: datetime) -> Document | None:
    """Return who leads and since when, or since when nobody does; None where that could not be read."""
    if lease is None:
        return None
    spec = lease["spec"]
    holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime")
    if not (holder and renewed):
        return {"leads": False, "holder": holder, "since": renewed}
    until = datetime.fromisoformat(renewed) + timedelta(seconds=spec["leaseDurationSeconds"])
    if now < until:
        return {"leads": True, "holder": holder, "since": spec.get("acquireTime")}
    return {"leads": False, "holder": holder, "since": until.isoformat()}


def _granted(ledger: Ledger | None) -> int | None:
    """Return what the ledger of the server holds for pods of all budgets."""
    return None if ledger is None else sum(entry.connections for entry in ledger.values())


def _rows(picture: Picture) -> list[Row]:
    """Return a row for every pod and for every reservation without one."""
    ledger = picture.ledger or {}
    found = [_of_pod(picture, raw, ledger.get(uid)) for uid, raw in picture.pods.items()]
    gone = [_of_entry(picture, entry) for uid, entry in ledger.items() if uid not in picture.pods]
    rows = [r for r in found if r is not None] + gone
    return sorted(rows, key=lambda r: (r.workload, STATES.index(r.state), r.since or "", r.name))


def _of_pod(picture: Picture, raw: Mapping[str, Any], entry: Reservation | None) -> Row | None:
    found = row(raw, entry, _in_use(picture, (raw.get("status") or {}).get("podIP")))
    if found is None or picture.spec is None or found.workload.budget_key != picture.key:
        return found
    workload = next((w for w in picture.spec.workloads if w.name == found.workload.workload), None)
    if workload is None:
        return found
    settings = settings_of(raw, picture.spec, workload)
    found = replace(found, settings=settings, configured=configured(raw, workload))
    reason, message = (found.reason, found.message) if found.message else excess(found)
    return replace(found, reason=reason, message=message)


def _of_entry(picture: Picture, entry: Reservation) -> Row:
    if entry.namespace in picture.unread:
        return Row(entry.uid, entry.namespace, entry.pod, entry.workload, "unknown", granted=entry.connections)
    observed = picture.spec is not None and picture.spec.database is not None
    return vanished(entry, _in_use(picture, entry.address), observed=observed)


def _in_use(picture: Picture, address: str | None) -> int | None:
    return picture.sessions.get(address, 0) if picture.sessions is not None and address else None


def _others(rows: list[Row], key: BudgetKey) -> list[Document]:
    """Return what pods of the other budgets of the server hold together."""
    pods, granted = Counter[str](), Counter[str]()
    for r in rows:
        if r.workload.budget_key != key and r.granted is not None:
            pods[str(r.workload.budget_key)] += 1
            granted[str(r.workload.budget_key)] += r.granted
    return [{"budget": budget, "pods": pods[budget], "granted": granted[budget]} for budget in sorted(pods)]


def _plain(r: Row) -> Document:
    """Return a row as JSON; what is not known is left out."""
    fields = {
        "namespace": r.namespace,
        "name": r.name,
        "workload": str(r.workload),
        "state": r.state,
        "since": r.since,
        "mode": r.mode,
        "granted": r.granted,
        "clients" if r.behind_pooler else "configured": r.configured,
        "inUse": r.in_use,
        "reason": r.reason or None,
        "message": r.message or None,
    }
    return {name: value for name, value in fields.items() if value is not None}
