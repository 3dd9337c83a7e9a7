"""Two plans side by side: what every workload had, and what it gets now.

`cli.plan` calls `pair` and `render` with `--diff`; both take the items that it prints.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from poolbudget.cli.table import ABSENT, aligned, pooler_text, pools_text

Item = Mapping[str, Any]
Status = Mapping[str, Any]

ARROW = " -> "


def pair(old: Sequence[Item], new: Sequence[Item]) -> list[dict[str, Any]]:
    """Return one item for each budget of either: `status` as it is now and `previous` as it was, null where absent."""
    before = {_key(item): item["status"] for item in old}
    items = [{**item, "previous": before.pop(_key(item), None)} for item in new]
    gone = [item for item in old if _key(item) in before]
    return [*items, *({"metadata": item["metadata"], "status": None, "previous": item["status"]} for item in gone)]


def render(pairs: Iterable[Item]) -> str:
    """Return a readable comparison; what is the same in both is left out."""
    return "\n\n".join("\n".join(_budget(item)) for item in pairs)


def _budget(item: Item) -> Iterator[str]:
    old, new = item["previous"], item["status"]
    yield f"PoolBudget {item['metadata']['namespace']}/{item['metadata']['name']}: {_headline(old, new)}"
    before, after = _workloads(old), _workloads(new)
    rows = [_row(before.get(name), after.get(name)) for name in {**after, **before}]
    changed = [row for row in rows if any(ARROW in cell for cell in row)]
    yield from aligned([tuple(COLUMNS), *changed], frozenset()) if changed else ()
    same = len(rows) - len(changed)
    if same:
        yield f"  {same} of {len(rows)} workloads unchanged"
    poolers = [pooler_text(side["pooler"]) if side and "pooler" in side else "no pooler" for side in (old, new)]
    if poolers[0] != poolers[1]:
        yield f"  {ARROW.join(poolers)}"
    yield from (c["message"] for c in (new or {}).get("conditions", ()) if c["status"] == "False")


def _headline(old: Status | None, new: Status | None) -> str:
    parts = (
        f"{_change(old, new, lambda s: s['capacity']['planned'])} planned",
        f"{_change(old, new, lambda s: s['capacity']['usable'])} usable",
        _change(old, new, _verdict),
    )
    return ", ".join(parts)


def _verdict(status: Status) -> str:
    (fits,) = (c for c in status["conditions"] if c["type"] == "WorkloadsFit")
    return "fits" if fits["status"] == "True" else f"does not fit ({fits['reason']})"


def _workloads(status: Status | None) -> dict[str, Mapping[str, Any]]:
    return {w["name"]: w for w in (status or {}).get("workloads", ())}


COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "WORKLOAD": lambda w: w["name"],
    "MODE": lambda w: w["mode"],
    "PODS": lambda w: w.get("pods", {}).get("steady"),
    "PROCESSES": lambda w: w.get("processes"),
    "POOL": pools_text,
    "PER POD": lambda w: w.get("connections", {}).get("perPod"),
    "PLANNED": lambda w: w.get("connections", {}).get("planned"),
    "SAFE MAX": lambda w: w.get("safeMaxReplicas"),
    "REASON": lambda w: w["reason"],
}


def _row(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> tuple[str, ...]:
    name = (new or old or {})["name"]
    return (name, *(_change(old, new, read) for heading, read in COLUMNS.items() if heading != "WORKLOAD"))


def _change(old: Any, new: Any, read: Callable[[Any], Any]) -> str:
    was, now = (ABSENT if side is None or (value := read(side)) is None else str(value) for side in (old, new))
    return now if was == now else f"{was}{ARROW}{now}"


def _key(item: Item) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]
