"""What `poolbudget plan` reads, and the one line that says what is wrong with what it cannot read."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.plan_manifests import API, BUDGET, HPA, planned, run


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
