"""Properties of what is moved behind a pooler: the fewest and the largest, never too much, and no flapping."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from poolbudget.api.v1alpha1 import PoolBudgetSpec
from poolbudget.planning.memory import STABILIZATION, Memory, moved_before
from poolbudget.planning.model import Budget, BudgetKey, ServerPlan, Target, TargetKey, WorkloadKey
from poolbudget.planning.plan import plan_server
from poolbudget.planning.status import planned_status
from poolbudget.pooler.config import Limits
from tests.unit.planning_inputs import NAMESPACE, budget, target

NAMES = ("api", "beat", "cron", "data")
DATABASE = {"host": "db"}

Server = tuple[dict[str, dict[str, Any]], dict[TargetKey, Target]]
"""The specs of its budgets, oldest first, by name; and what they target."""

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@st.composite
def declared_poolers(draw: st.DrawFn, *, triggers: bool) -> dict[str, Any]:
    percent = draw(st.none() | st.integers(0, 100)) if triggers else None
    trigger = {} if percent is None else {"when": {"plannedAbovePercent": percent}}
    if draw(st.booleans()):
        return {"mode": "External", "external": {"host": "b", "connections": draw(st.integers(1, 40))}, **trigger}
    fields: dict[str, Any] = {
        "minConnections": draw(st.integers(1, 20)),
        "replicas": draw(st.integers(1, 4)),
        **trigger,
    }
    fields["maxConnections"] = max(fields["minConnections"], fields["replicas"]) + draw(st.integers(0, 100))
    return {"mode": draw(st.sampled_from(["Auto", "Always", "Never"])), "authSecretRef": {"name": "users"}, **fields}


@st.composite
def workloads(draw: st.DrawFn, prefix: str = "") -> list[dict[str, Any]]:
    return [
        {
            "name": prefix + name,
            "processes": draw(st.integers(1, 12)),
            "minPerProcess": draw(st.integers(1, 4)),
            "maxPerProcess": draw(st.integers(4, 30)),
            "extraPerPod": draw(st.integers(0, 2)),
            "route": draw(st.sampled_from(["Env", "Env", "None"])),
        }
        for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    ]


@st.composite
def servers(draw: st.DrawFn, *, triggers: bool = True) -> Server:
    specs: dict[str, dict[str, Any]] = {}
    targets: dict[TargetKey, Target] = {}
    for age in range(draw(st.integers(1, 3))):
        declared = draw(workloads(prefix=f"w{age}"))
        pooler = draw(declared_poolers(triggers=triggers))
        specs[f"b{age}"] = {
            "maxConnections": draw(st.integers(40, 300)),
            "database": DATABASE,
            "pooler": pooler,
            "workloads": declared,
        }
        surges = draw(st.booleans())
        targets |= dict(target(w["name"], draw(st.integers(1, 6)), surges=surges) for w in declared)
    return specs, targets


def plan_of(
    specs: dict[str, dict[str, Any]], targets: dict[TargetKey, Target], memory: Memory | None = None
) -> ServerPlan:
    parsed = {name: PoolBudgetSpec.model_validate(spec) for name, spec in specs.items()}
    budgets = [Budget(BudgetKey(NAMESPACE, name), spec, created=name) for name, spec in parsed.items()]
    return plan_server(budgets, targets, None, memory=memory)


def floor_cost(fields: dict[str, Any], of: Target) -> int:
    pods = max(1, of.desired) + of.surges
    return pods * (int(fields["processes"]) * int(fields["minPerProcess"]) + int(fields["extraPerPod"]))


def set_aside(spec: dict[str, Any]) -> int:
    """What the pooler of a budget takes at the least, if there is one."""
    pooler = spec["pooler"]
    if pooler["mode"] == "External":
        return int(pooler["external"]["connections"])
    if pooler["mode"] == "Never" or all(w["route"] == "None" for w in spec["workloads"]):
        return 0
    replicas = pooler["replicas"]
    return int(replicas * min(-(-pooler["minConnections"] // replicas), pooler["maxConnections"] // replicas))


@settings(max_examples=200, deadline=None)
@given(servers(), st.data())
def test_each_replica_of_a_pooler_takes_in_all_clients_at_peak_at_once(server: Server, data: st.DataObject) -> None:
    specs, targets = server
    for spec in specs.values():
        for fields in spec["workloads"] if spec["pooler"]["mode"] != "Never" else ():
            pools = fields["route"] == "Env" and data.draw(st.sampled_from(["Auto", "Pooled", "NullPool"]))
            fields["mode"] = pools or "Auto"
    result = plan_of(specs, targets)
    for budget_key, pooler in result.poolers.items():
        behind = [w for w in result.workloads.values() if w.key.budget_key == budget_key and w.mode != "Direct"]
        clients = sum(w.peak * (w.processes or 0) * w.share + w.peak * w.workload.extra_per_pod for w in behind)
        told = Limits.of(pooler.connections // max(1, pooler.replicas), pooler.clients)
        assert pooler.clients == clients
        assert told.clients > clients


@settings(max_examples=400, deadline=None)
@given(servers(triggers=False))
def test_the_fewest_of_the_largest_are_moved_that_let_the_rest_fit(server: Server) -> None:
    specs, targets = server
    result = plan_of(specs, targets)
    costs: dict[WorkloadKey, int] = {}
    movable: set[WorkloadKey] = set()
    for name, spec in specs.items():
        for fields in spec["workloads"]:
            key, routed = WorkloadKey(NAMESPACE, name, fields["name"]), fields["route"] == "Env"
            if not (routed and spec["pooler"]["mode"] == "Always"):
                costs[key] = floor_cost(fields, targets[TargetKey("Deployment", NAMESPACE, fields["name"])])
            if routed and spec["pooler"]["mode"] in {"Auto", "External"}:
                movable.add(key)
    usable = min(spec["maxConnections"] for spec in specs.values()) - 10
    room = usable - sum(map(set_aside, specs.values()))
    ordered = sorted(movable, key=lambda key: (-costs[key], key))
    prefixes = [ordered[:count] for count in range(len(ordered) + 1)]
    fitting = [p for p in prefixes if sum(cost for key, cost in costs.items() if key not in p) <= room]
    assert result.fits == bool(fitting)
    if fitting:
        moved = {key for key, w in result.workloads.items() if w.reason == "DirectDoesNotFit"}
        assert moved == set(fitting[0])


@settings(max_examples=400, deadline=None)
@given(servers(), st.data())
def test_nothing_is_planned_beyond_what_is_usable_whatever_was_moved_before(
    server: Server, data: st.DataObject
) -> None:
    specs, targets = server
    keys = [WorkloadKey(NAMESPACE, name, w["name"]) for name, spec in specs.items() for w in spec["workloads"]]
    since = st.sampled_from([None, NOW, NOW - STABILIZATION])
    before = data.draw(st.none() | st.dictionaries(st.sampled_from(keys), since))
    result = plan_of(specs, targets, None if before is None else Memory(before, NOW))
    direct = [w for w in result.workloads.values() if w.mode == "Direct"]
    assert all(w.share >= w.floor for w in direct)
    assert all(w.per_pod == w.planned == 0 for w in result.workloads.values() if w.mode != "Direct")
    assert result.planned == sum(w.planned for w in direct) + sum(p.connections for p in result.poolers.values())
    assert result.planned <= max(result.usable, 0)
    for name, spec in specs.items():
        pooler = result.poolers.get(BudgetKey(NAMESPACE, name))
        behind = [w for w in result.workloads.values() if w.key.budget == name and w.mode != "Direct" and w.fits]
        assert not behind or pooler
        if pooler:
            assert pooler.clients == sum(w.peak * w.clients_per_pod for w in behind)
            assert pooler.connections >= set_aside(spec)
        if pooler and not pooler.external:
            assert pooler.connections % pooler.replicas == 0
            assert pooler.replicas <= pooler.connections <= spec["pooler"]["maxConnections"]
            assert behind or pooler.connections == set_aside(spec)


STEPS = st.lists(st.tuples(st.integers(0, 100), st.sampled_from([1, 150, 300, 600])), min_size=5, max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(1, 100), STEPS)
def test_nothing_is_moved_twice_while_the_room_stays_within_half_as_much_again(
    floors: list[int], part: int, steps: list[tuple[int, int]]
) -> None:
    """`part`: the least room, in percent of the floors. Steps: where in the range it is, and the seconds since."""
    least = max(1, sum(floors) * part // 100)
    names = dict(zip("abcd", floors, strict=False))
    declared = [{"name": n, "processes": f, "minPerProcess": 1, "route": "Env"} for n, f in names.items()]
    targets = dict(target(name) for name in names)
    pooler = {"mode": "External", "external": {"host": "b", "connections": 5}}
    now, memory, was_moved, came_back = NOW, None, set[str](), set[str]()
    for percent, seconds in steps:
        now += timedelta(seconds=seconds)
        room = least + least * percent // 200
        one = budget(*declared, maxConnections=room + 15, database=DATABASE, pooler=pooler)
        result = plan_server([one], targets, None, memory=memory)
        moved = {key.workload for key, w in result.workloads.items() if w.mode == "Pooled"}
        assert not moved & came_back
        came_back |= was_moved - moved
        was_moved = moved
        memory = Memory(moved_before(one.key, planned_status(one, result)), now)
