"""`poolbudget plan` from the outside: what it prints, on which stream, and with which exit code."""

import json

import pytest
import yaml

from tests.unit.plan_manifests import API, BUDGET, HPA, planned, run


def test_json_has_the_shape_of_the_status() -> None:
    assert planned(BUDGET, API) == {
        "conditions": [
            {
                "type": "WorkloadsFit",
                "status": "True",
                "reason": "WorkloadsFit",
                "message": "every process gets at least its floor",
            }
        ],
        "capacity": {"declared": 200, "reserved": 10, "usable": 190, "planned": 180, "committed": 0, "inUse": 0},
        "workloads": [
            {
                "name": "api",
                "mode": "Direct",
                "reason": "FitsDirectly",
                "message": "each of 4 processes of a pod gets 9 connections, its part of what is usable",
                "processes": 4,
                "pods": {"current": 0, "waiting": 0, "steady": 4, "peak": 5},
                "pool": {"size": 9, "overflow": 0},
                "connections": {"perPod": 36, "planned": 180, "committed": 0, "inUse": 0},
                "safeMaxReplicas": 22,
            }
        ],
    }


PDB = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: api, namespace: shop}
spec: {minAvailable: 5, selector: {matchLabels: {app: api}}}
"""
AT_MOST_FOUR = BUDGET.replace("name: api}", "name: api, maxPods: 4}")
LABELLED = API.replace("template: {", "template: {metadata: {labels: {app: api}}, ")


def test_an_autoscaler_and_a_disruption_budget_beyond_max_pods_are_named() -> None:
    (workload,) = planned(AT_MOST_FOUR, LABELLED, HPA, PDB)["workloads"]
    assert workload["reason"] == "ReplicasExceedBudget"
    assert "HorizontalPodAutoscaler any: maxReplicas 6 is above maxPods 4" in workload["message"]
    assert "PodDisruptionBudget api: minAvailable 5 is above maxPods 4" in workload["message"]


@pytest.mark.parametrize(
    ("own", "others"),
    [("namespace: shop", "namespace: bar"), ("app: api", "app: web"), ("policy/v1", "example.com/v1")],
    ids=["of another namespace", "of other pods", "of another group"],
)
def test_a_disruption_budget_of_others_says_nothing(own: str, others: str) -> None:
    (workload,) = planned(AT_MOST_FOUR, LABELLED, PDB.replace(own, others))["workloads"]
    assert workload["reason"] == "FitsDirectly"


def test_a_disruption_budget_that_cannot_be_read_is_named() -> None:
    unreadable = PDB.partition("spec:")[0] + "spec: []"
    result = run("-f", "-", stdin="---".join((AT_MOST_FOUR, LABELLED, unreadable)))
    assert result.exit_code == 2
    assert "PodDisruptionBudget shop/api: spec: must be an object with named fields" in result.stderr


def test_yaml_says_the_same_as_json() -> None:
    stdin = f"{BUDGET}---{API}"
    as_yaml, as_json = (run("-f", "-", "-o", form, stdin=stdin).stdout for form in ("yaml", "json"))
    assert yaml.safe_load(as_yaml) == json.loads(as_json)


def test_an_autoscaler_raises_the_pods() -> None:
    assert planned(BUDGET, API, HPA)["workloads"][0]["pods"]["steady"] == 6


def test_several_pools_are_listed() -> None:
    pools = BUDGET.replace("{name: api}", "{name: api, pools: [{name: read, weight: 4}, {name: write}]}")
    workload = planned(pools, API)["workloads"][0]
    assert workload["pools"] == [
        {"name": "read", "size": 7, "overflow": 0},
        {"name": "write", "size": 2, "overflow": 0},
    ]
    assert "pool" not in workload


def test_what_does_not_fit_is_exit_code_1_with_the_sentence() -> None:
    result = run("-f", "-", "-o", "json", stdin=f"{BUDGET}---{API.replace('replicas: 4', 'replicas: 30')}")
    assert result.exit_code == 1
    assert "orders would need 248 of 190 connections at the floor, 58 too many" in result.stderr
    status = json.loads(result.stdout)["items"][0]["status"]
    assert (status["workloads"][0]["reason"], status["capacity"]["planned"]) == ("DoesNotFit", 248)
    assert status["workloads"][0]["pool"] == {"size": 2, "overflow": 0}


def test_the_table_is_readable() -> None:
    assert run("-f", "-", stdin=f"{BUDGET}---{API}").stdout == (
        "PoolBudget shop/orders: 180 of 190 usable connections planned (maxConnections 200, reserved 10)\n"
        "  WORKLOAD  MODE    PROCESSES  PODS  PEAK  POOL  PER POD  PLANNED  SAFE MAX  REASON\n"
        "  api       Direct          4     4     5  9+0        36      180        22  FitsDirectly\n"
        "  api: each of 4 processes of a pod gets 9 connections, its part of what is usable\n"
    )


def test_the_table_names_what_does_not_fit_on_stdout() -> None:
    result = run("-f", "-", stdin=f"{BUDGET}---{API.replace('replicas: 4', 'replicas: 30')}")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "orders would need 248 of 190" in result.stdout


def test_items_come_in_the_order_of_the_input() -> None:
    def named(name: str) -> str:
        return BUDGET.replace("orders", name)

    result = run("-f", "-", "-o", "json", stdin="---".join([named("zebra"), API, named("ant")]))
    assert [item["metadata"]["name"] for item in json.loads(result.stdout)["items"]] == ["zebra", "ant"]


def test_a_missing_namespace_is_default() -> None:
    stdin = f"{BUDGET}---{API}".replace(", namespace: shop", "")
    item = json.loads(run("-f", "-", "-o", "json", stdin=stdin).stdout)["items"][0]
    assert item["metadata"] == {"name": "orders", "namespace": "default"}


def test_budgets_of_one_server_share_it_and_the_later_one_conflicts() -> None:
    first = BUDGET.replace("spec: {", "spec: {database: {host: db}, ")
    first = first.replace("{name: api}", "{name: api, processes: 4, maxPods: 20}")
    second = first.replace("name: orders", "name: billing").replace("{host: db}", "{host: db.shop.svc}")
    result = run("-f", "-", "-o", "json", stdin=f"{first}---{second}")
    reasons = [item["status"]["workloads"][0]["reason"] for item in json.loads(result.stdout)["items"]]
    assert (result.exit_code, reasons) == (1, ["FitsDirectly", "Conflict"])


def test_max_pods_below_the_replicas_is_a_warning() -> None:
    stdin = f"{BUDGET.replace('{name: api}', '{name: api, maxPods: 2}')}---{API}"
    result = run("-f", "-", stdin=stdin)
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: stdin: document 1: PoolBudget shop/orders: spec.workloads[0].maxPods: "
        "2 is below the 4 replicas of the target: the rest will wait\n"
    )


def test_what_is_not_yet_supported_is_said() -> None:
    stdin = f"{BUDGET.replace('spec: {', 'spec: {updateMode: Live, ')}---{API}"
    assert "not yet supported: updateMode: pods are sized as they start" in run("-f", "-", stdin=stdin).stdout


def test_a_size_that_the_template_sets_itself_is_planned_as_it_is() -> None:
    own = API.replace("}]}}", ", env: [{name: DB_POOL_SIZE, value: %s}]}]}}")
    (api,) = planned(BUDGET, own % '"9"')["workloads"]
    assert (api["reason"], api["pool"], api["connections"]["perPod"]) == ("Overridden", {"size": 9, "overflow": 0}, 36)

    too_many = run("-f", "-", stdin="---".join([BUDGET, own % '"15"']))
    assert too_many.exit_code == 1
    assert "would need 300 of 190 connections" in too_many.stdout
    assert "container app sets DB_POOL_SIZE to 15 itself: remove it there to get a share" in too_many.stdout

    unbounded = run("-f", "-", stdin="---".join([BUDGET, own % '"0"']))
    assert (unbounded.exit_code, unbounded.stdout) == (2, "")
    assert "spec.workloads[0].env: api: container app sets DB_POOL_SIZE itself to '0'" in unbounded.stderr
