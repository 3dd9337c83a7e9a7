"""`poolbudget plan` from the outside: what it prints, on which stream, and with which exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
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


def test_directories_files_and_lists_are_read_and_other_kinds_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "api.yml").write_text(API)
    (folder / "config.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n# only a comment\n")
    (folder / "notes.txt").write_text("not a manifest")
    (folder / "list.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(HPA)]}, indent="\t")
    )
    other = tmp_path / "budget.yaml"
    other.write_text(BUDGET)
    for arguments in (["-f", str(folder), "-f", str(other)], ["-f", str(folder), str(other)]):
        result = run(*arguments, "-o", "json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["items"][0]["status"]["workloads"][0]["pods"]["steady"] == 6


def test_what_helm_template_prints_is_read() -> None:
    """Comments, documents without content, hooks, and names that are not quoted."""
    chart = """---
# Source: shop/templates/serviceaccount.yaml
apiVersion: v1
kind: ServiceAccount
metadata:
  name: shop
---
# Source: shop/templates/disabled.yaml

---
---
# Source: shop/templates/tests/connection.yaml
apiVersion: v1
kind: Pod
metadata: {name: test, annotations: {"helm.sh/hook": test}}
spec: {containers: [{name: wget, image: busybox}]}
"""
    assert planned(chart, "\n# Source: shop/templates/budget.yaml" + BUDGET, API)["capacity"]["planned"] == 180


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


def budget_with(old: str, new: str) -> str:
    changed = BUDGET.replace(old, new)
    assert changed != BUDGET
    return f"{changed}---{API}"


def api_with(old: str, new: str) -> str:
    changed = API.replace(old, new)
    assert changed != API
    return f"{BUDGET}---{changed}"


JSON_BUDGET = json.dumps(yaml.safe_load(BUDGET))

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in zip("abcdef", "bcdefg", strict=True)
)

DAEMON_SET = api_with("kind: Deployment", "kind: DaemonSet").replace(
    "[{name: api}]", "[{name: api, targetRef: {kind: DaemonSet, name: api}}]"
)

BAD: dict[str, tuple[str | bytes, str]] = {
    # what is wrong: the input, and a part of the one line that is printed
    "nothing at all": ("", "stdin: no PoolBudget found"),
    "only comments": ("# nothing\n---\n", "no PoolBudget found"),
    "no PoolBudget": (API, "no PoolBudget found"),
    "binary": (b"\x7fELF\xff\xfe\x00", "is not text in UTF-8"),
    "UTF-16": (BUDGET.encode("utf-16"), "is not text in UTF-8"),
    "a control character": (BUDGET + "\x00", "is not YAML"),
    "truncated YAML": (BUDGET[:-3], "stdin: document 1: line"),
    "a tab as indentation": ("kind: PoolBudget\nmetadata:\n\tname: x\n", "spaces, never with tabs"),
    "an unknown anchor": (budget_with("{name: api}", "*api"), "undefined alias"),
    "an alias to itself": ("a: &a [*a]\n", "refers to the object that holds it"),
    "aliases that blow up": (BOMB, "aliases make more than"),
    "a field twice in YAML": (budget_with("maxConnections: 200", "maxConnections: 200, maxConnections: 20"), "twice"),
    "a field twice in JSON": ('{"kind": "PoolBudget", "kind": "PoolBudget"}', "'kind' stands twice"),
    "endless nesting in YAML": ("[" * 100_000, "stdin: document"),
    "endless nesting in JSON": ('{"a":' * 100_000, "stdin: document 1"),
    "a number of 5,000 digits": (budget_with("200", "9" * 5_000), "stdin: document 1"),
    "a tag of Python": ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
    "plain text": ("hello", "is a single value, no Kubernetes object"),
    "a list": ("- kind: PoolBudget", "is a list, no Kubernetes object"),
    "a List without items": ("kind: List\napiVersion: v1\n", "items: must be a list"),
    "a List with text": ("kind: List\napiVersion: v1\nitems: [x]\n", "document 1 item 1: is a single value"),
    "no kind": ("apiVersion: v1\nmetadata: {name: x}\n", "document 1: kind: must be a text"),
    "no apiVersion": ("kind: PoolBudget\nmetadata: {name: x}\n", "document 1: apiVersion: must be a text"),
    "a later apiVersion": (budget_with("v1alpha1", "v2"), "write poolbudget.dev/v1alpha1"),
    "a kind with a typo": (budget_with("kind: PoolBudget", "kind: Poolbudget"), "write PoolBudget"),
    "no metadata": ("apiVersion: poolbudget.dev/v1alpha1\nkind: PoolBudget\n", "metadata: must be an object"),
    "no name": (budget_with("name: orders, ", ""), "metadata.name: must be a text"),
    "a name that is a number": (budget_with("name: orders", "name: 7"), "metadata.name: must be a text"),
    "a namespace that is a number": (budget_with("namespace: shop", "namespace: 7"), "metadata.namespace"),
    "a name that is none": (budget_with("name: orders", "name: My_Orders"), "'My_Orders' is no name"),
    "no spec": ("\n".join(BUDGET.splitlines()[:-1]), "PoolBudget shop/orders: spec"),
    "no workloads": (budget_with("[{name: api}]", "[]"), "spec.workloads"),
    "no maxConnections": (budget_with("maxConnections: 200, ", ""), "spec.maxConnections"),
    "maxConnections in quotes": (budget_with("200", '"200"'), "spec.maxConnections"),
    "maxConnections below zero": (budget_with("200", "-5"), "spec.maxConnections"),
    "a huge maxConnections": (budget_with("200", "99999999999999999999"), "spec.maxConnections"),
    "an unknown field": (budget_with("maxConnections: 200", "maxConnections: 200, maxConections: 20"), "did you mean"),
    "an unknown mode": (budget_with("{name: api}", "{name: api, mode: Fast}"), "spec.workloads[0].mode"),
    "a bare Off": (budget_with("spec: {", "spec: {updateMode: Off, "), "spec.updateMode"),
    "everything reserved": (budget_with("spec: {", "spec: {reservedConnections: 200, "), "reservedConnections"),
    "a workload twice": (budget_with("{name: api}", "{name: api}, {name: api}"), "spec.workloads"),
    "a floor above the ceiling": (budget_with("{name: api}", "{name: api, minPerProcess: 30}"), "minPerProcess"),
    "both forms of demand": (
        budget_with("{name: api}", "{name: api, demand: {concurrency: 5, requestsPerSecond: 5, holdMilliseconds: 5}}"),
        "spec.workloads[0].demand",
    ),
    "a share above everything": (budget_with("{name: api}", '{name: api, max: "150%"}'), "spec.workloads[0].max"),
    "one budget twice": (f"{BUDGET}---{BUDGET}---{API}", "is also the name of the one in stdin: document 1"),
    "one Deployment twice": (f"{BUDGET}---{API}---{API}", "is also the name of the one in stdin: document 2"),
    "a target that is missing": (BUDGET, "spec.workloads[0].targetRef: api: there is no Deployment shop/api"),
    "a target of a kind that has no pods": (
        budget_with("{name: api}", "{name: api, targetRef: {kind: Node, name: x}}"),
        "targetRef.kind Node is none of",
    ),
    "processes that cannot be detected": (api_with("uvicorn", "./start.sh"), "spec.workloads[0].processes: api:"),
    "a container that is not there": (budget_with("{name: api}", "{name: api, containers: [web]}"), "no container web"),
    "a DaemonSet without maxPods": (
        api_with("kind: Deployment", "kind: DaemonSet").replace(
            "{name: api}]", "{name: api, targetRef: {kind: DaemonSet, name: api}}]"
        ),
        "spec.workloads[0].maxPods: api: a DaemonSet runs one pod on each node",
    ),
    "replicas in quotes": (api_with("replicas: 4", 'replicas: "4"'), "Deployment shop/api: spec.replicas"),
    "an argument that is a number": (api_with('"4"', "4"), "spec.template.spec.containers[0].command[3]"),
    "an autoscaler without a target": (
        f"{BUDGET}---{API}---{HPA.replace('scaleTargetRef', 'target')}",
        "HorizontalPodAutoscaler shop/any: spec.scaleTargetRef",
    ),
    "Latin-1": (BUDGET.replace("orders", "ord\xe9s").encode("latin-1"), "is not text in UTF-8 (byte 74)"),
    "no number at all": (budget_with("200", ".nan"), "spec.maxConnections: must be a whole number"),
    "an endless number in JSON": (JSON_BUDGET.replace("200", "1e999"), "spec.maxConnections: must be a whole number"),
    "half a surrogate in JSON": (JSON_BUDGET.replace("orders", "\\ud800"), "is no name"),
    "a comma too many in JSON": (JSON_BUDGET[:-1] + ",}}", "stdin: document 1"),
    "a fraction": (budget_with("200", "200.5"), "spec.maxConnections: must be a whole number, such as 20, not 200.5"),
    "a name that YAML reads as a date": (budget_with("name: orders", "name: 2024-01-01"), "metadata.name: must be"),
    "a name that YAML reads as a boolean": (budget_with("name: orders", "name: on"), "metadata.name: must be a text"),
    "a date that is none": (budget_with("name: orders", "name: 2024-13-45"), "holds a value that is not"),
    "a tag that its value contradicts": (budget_with("200", "!!bool maybe"), "holds a value that is not"),
    "a time that is none": (budget_with("200", "!!timestamp noon"), "holds a value that is not"),
    "bytes": (budget_with("200", "!!binary aGVsbG8="), "spec.maxConnections: must be a whole number"),
    "a key that is an object": ("? {a: b}\n: c\n", "found unhashable key"),
    "a merge with itself": ("a: &a {<<: *a}\n", "refers to the object that holds it"),
    "a merge of text": ("<<: hello\n", "is not YAML"),
    "a directive of another YAML": ("%YAML 9.9\n---\nkind: x\n", "found incompatible YAML document"),
    "two documents run together": (BUDGET + BUDGET, "the field 'apiVersion' stands twice"),
    "a chart that was not rendered": (budget_with("200", "{{ .Values.max }}"), "is not YAML"),
    "a conflict of git": ("<<<<<<< HEAD\n" + BUDGET, "is not YAML"),
    "a page of HTML": ("<html><body>404</body></html>", "is a single value, no Kubernetes object"),
    "spec is null": (budget_with("{maxConnections: 200, workloads: [{name: api}]}", "null"), "spec: Required value"),
    "spec is text": (budget_with("{maxConnections: 200, workloads: [{name: api}]}", "all"), "spec: must be a mapping"),
    "workloads by name": (budget_with("[{name: api}]", "{api: {}}"), "spec.workloads: must be a list"),
    "a workload that is text": (budget_with("[{name: api}]", "[api]"), "spec.workloads[0]: must be a mapping"),
    "a target that is text": (
        budget_with("{name: api}", "{name: api, targetRef: api}"),
        "targetRef: must be a mapping",
    ),
    "a value of 5,000 characters": (budget_with("{name: api}", f"{{name: api, mode: {'x' * 5_000}}}"), "Unsupported"),
    "a field of 5,000 characters": (budget_with("200", f"200, ? {'x' * 5_000} : 1"), "stdin: document 1"),
    "a profile with a typing error": (
        budget_with("{name: api}", "{name: api, env: {profile: airflwo}}"),
        "spec.workloads[0].env.profile: api: env.profile airflwo is not known: did you mean airflow?",
    ),
    "a template that is text": (api_with("spec: {containers", "spec: hello, x: {containers"), "spec.template.spec"),
    "a command that is text": (api_with('[uvicorn, "app:app", --workers, "4"]', "uvicorn"), "command: must be a list"),
    "variables by name": (api_with("{name: app,", "{name: app, env: {A: B},"), "containers[0].env: must be a list"),
    "a variable that is a number": (api_with("{name: app,", "{name: app, env: [{name: A, value: 3}],"), "in quotes"),
    "more replicas than there can be": (
        api_with("replicas: 4", f"replicas: {10**20}"),
        "Deployment shop/api: spec.repl",
    ),
    "a strategy that is text": (api_with("replicas: 4", "strategy: Recreate"), "spec.strategy: must be an object"),
    "a surge that is text": (
        api_with("replicas: 4", "strategy: {rollingUpdate: {maxSurge: many}}"),
        "spec.strategy.rollingUpdate.maxSurge: must be a number of pods or a share",
    ),
    "a surge that is a boolean": (api_with("replicas: 4", "strategy: {rollingUpdate: {maxSurge: true}}"), "maxSurge"),
    "workers beyond all reason": (api_with('"4"', '"99999999"'), "not a whole number from 1 to 10000"),
    "an autoscaler without a maximum": (
        f"{BUDGET}---{API}---{HPA.replace('maxReplicas', 'minReplicas')}",
        "HorizontalPodAutoscaler shop/any: spec.maxReplicas",
    ),
}


@pytest.mark.parametrize(("stdin", "part"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_on_stderr(stdin: str | bytes, part: str) -> None:
    result = run("-f", "-", stdin=stdin)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr) < 600


def test_every_problem_is_reported_at_once() -> None:
    result = run("-f", "-", stdin=f"{BUDGET.replace('200', 'many')}---{API.replace('replicas: 4', 'replicas: -4')}")
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["document 1", "document 2"]


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir()], ids=["no such file", "an empty directory"]
)
def test_a_path_without_manifests(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "manifests"
    make(path)
    result = run("-f", str(path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{path}: ")


def test_no_input_is_a_usage_error() -> None:
    result = run()
    assert result.exit_code == 2
    assert "-f FILE" in result.stderr


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
