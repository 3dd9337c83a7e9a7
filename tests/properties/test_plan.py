"""Properties of a server's plan: the safe maximum is the one that a search finds, and nothing exceeds usable."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from poolbudget.planning.model import Observed, ServerPlan, WorkloadKey
from poolbudget.planning.plan import plan_server
from tests.unit.planning_inputs import budget, plan, planned, target

NAMES = ("api", "worker", "beat")
MOST_REPLICAS = 70

Replicas = dict[str, tuple[int, bool]]


@st.composite
def workloads(draw: st.DrawFn) -> tuple[list[dict[str, Any]], Replicas]:
    declared: list[dict[str, Any]] = []
    replicas: Replicas = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        fields = {
            "name": name,
            "processes": draw(st.integers(1, 4)),
            "minPerProcess": draw(st.integers(1, 4)),
            "maxPerProcess": draw(st.integers(4, 30)),
            "extraPerPod": draw(st.integers(0, 3)),
            "weight": draw(st.integers(1, 5)),
        }
        if draw(st.booleans()):
            fields["max"] = draw(st.integers(1, 80) | st.sampled_from(["10%", "50%", "100%"]))
        declared.append(fields)
        replicas[name] = (draw(st.integers(0, 12)), draw(st.booleans()))
    return declared, replicas


def plan_of(declared: list[dict[str, Any]], replicas: Replicas) -> ServerPlan:
    targets = [target(name, count, surges=surges) for name, (count, surges) in replicas.items()]
    return plan(budget(*declared, maxConnections=70), *targets)


@settings(max_examples=200, deadline=None)
@given(workloads())
def test_safe_max_replicas_is_what_a_search_finds(given_workloads: tuple[list[dict[str, Any]], Replicas]) -> None:
    declared, replicas = given_workloads
    now = plan_of(declared, replicas)
    name = declared[0]["name"]

    def others_fit(result: ServerPlan) -> bool:
        # A workload whose own max cannot hold its floor is planned apart from the others, and does not count here.
        apart = {"CeilingBelowFloor"}
        return all(w.fits for k, w in result.workloads.items() if k.workload == name or w.reason not in apart)

    def fits(count: int) -> bool:
        return others_fit(plan_of(declared, replicas | {name: (count, replicas[name][1])}))

    safe = planned(now, name).safe_max_replicas
    assert safe == max((count for count in range(1, MOST_REPLICAS) if fits(count)), default=0)


@settings(max_examples=200, deadline=None)
@given(workloads())
def test_what_is_planned_fits_in_usable_and_in_each_max(given_workloads: tuple[list[dict[str, Any]], Replicas]) -> None:
    declared, replicas = given_workloads
    result = plan_of(declared, replicas)
    assert result.planned <= result.usable
    for fields in declared:
        one = planned(result, fields["name"])
        most = fields.get("max", 1_000)
        most = int(most[:-1]) * 70 // 100 if isinstance(most, str) else most
        assert one.planned <= most
        assert one.per_pod == (one.processes or 0) * sum(p.size + p.overflow for p in one.pools) + fields["extraPerPod"]
        assert not one.fits or fields["minPerProcess"] <= one.share <= fields["maxPerProcess"]


@settings(max_examples=200, deadline=None)
@given(workloads(), st.randoms(use_true_random=False))
def test_the_order_in_the_file_changes_nothing(
    given_workloads: tuple[list[dict[str, Any]], Replicas], random: object
) -> None:
    declared, replicas = given_workloads
    shuffled = declared.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert plan_of(shuffled, replicas).workloads == plan_of(declared, replicas).workloads


DECLARED = st.tuples(st.integers(9, 60), st.integers(0, 8), st.integers(0, 12))


@settings(max_examples=300, deadline=None)
@given(st.lists(DECLARED, min_size=1, max_size=4))
def test_a_younger_budget_never_makes_an_older_one_unfit(declared: list[tuple[int, int, int]]) -> None:
    budgets, targets = [], {}
    fitting: list[WorkloadKey] = []
    for age, (maximum, reserved, replicas) in enumerate(declared):
        name = f"b{age}"
        fields = {"maxConnections": maximum, "reservedConnections": reserved, "database": {"host": "db"}}
        budgets.append(budget({"name": name, "processes": 1}, name=name, created=str(age), **fields))
        key, made = target(name, replicas)
        targets[key] = made
        result = plan_server(budgets, targets, Observed(50, 3))
        assert [key for key in fitting if not result.workloads[key].fits] == []
        assert result.planned <= result.usable
        assert result.usable + result.ordinary_reserve + 3 <= 50
        fitting = [key for key, plan in result.workloads.items() if plan.fits]
