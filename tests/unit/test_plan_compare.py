"""`poolbudget plan --diff` and `--github`, and what stands in front of them in CI."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from poolbudget.cli.compare import pair
from poolbudget.cli.documents import Problem
from poolbudget.cli.github import command
from tests.unit.plan_manifests import API, BUDGET, run

ROOT = Path(__file__).parents[2]
MORE = API.replace("replicas: 4", "replicas: 6")
TOO_MANY = API.replace("replicas: 4", "replicas: 30")
WORKER = API.replace("name: api", "name: worker")
TWO_WORKLOADS = BUDGET.replace("{name: api}", "{name: api}, {name: worker}")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.yaml"
    path.write_text(f"{BUDGET}---{API}")
    return path


def test_a_changed_workload_shows_both(old: Path) -> None:
    result = run("-f", "-", "--diff", str(old), stdin=f"{BUDGET}---{MORE}")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "PoolBudget shop/orders: 180 -> 168 planned, 190 usable, fits\n"
        "  WORKLOAD  MODE    PODS    PROCESSES  POOL        PER POD   PLANNED     SAFE MAX  REASON\n"
        "  api       Direct  4 -> 6  4          9+0 -> 6+0  36 -> 24  180 -> 168  22        FitsDirectly\n"
    )


def test_what_is_the_same_is_left_out(old: Path) -> None:
    result = run("-f", "-", "--diff", str(old), stdin=old.read_text())
    assert result.stdout == "PoolBudget shop/orders: 180 planned, 190 usable, fits\n  1 of 1 workloads unchanged\n"


def test_what_no_longer_fits_fails_with_the_sentence(old: Path) -> None:
    result = run("-f", "-", "--diff", str(old), stdin=f"{BUDGET}---{TOO_MANY}")
    assert result.exit_code == 1
    assert "180 -> 248 planned, 190 usable, fits -> does not fit (DoesNotFit)\n" in result.stdout
    assert "orders would need 248 of 190 connections at the floor, 58 too many" in result.stdout


def test_what_comes_and_goes_has_one_side(old: Path) -> None:
    old.write_text(f"{TWO_WORKLOADS}---{API}---{WORKER}")
    gone = run("-f", "-", "--diff", str(old), stdin=f"{BUDGET}---{API}").stdout
    (worker,) = (" ".join(line.split()) for line in gone.splitlines() if line.startswith("  worker"))
    assert worker == "worker Direct -> - 4 -> - 4 -> - 4+0 -> - 16 -> - 80 -> - 17 -> - FitsDirectly -> -"
    came = run("-f", "-", "--diff", str(old), stdin=f"{BUDGET.replace('orders', 'billing')}---{API}").stdout
    assert "PoolBudget shop/billing: - -> 180 planned, - -> 190 usable, - -> fits" in came
    assert "PoolBudget shop/orders: 180 -> - planned, 190 -> - usable, fits -> -" in came


def test_json_and_yaml_hold_both_statuses(old: Path) -> None:
    stdin = f"{BUDGET}---{MORE}"
    before = json.loads(run("-f", str(old), "-o", "json").stdout)["items"]
    after = json.loads(run("-f", "-", "-o", "json", stdin=stdin).stdout)["items"]
    result = run("-f", "-", "--diff", str(old), "-o", "json", stdin=stdin)
    assert json.loads(result.stdout) == {"items": [{**after[0], "previous": before[0]["status"]}]}
    as_yaml = run("-f", "-", "--diff", str(old), "-o", "yaml", stdin=stdin).stdout
    assert yaml.safe_load(as_yaml) == json.loads(result.stdout)


def test_a_budget_that_is_gone_is_null() -> None:
    status: dict[str, Any] = {"workloads": []}
    item = {"metadata": {"namespace": "shop", "name": "orders"}, "status": status}
    assert pair([item], []) == [{"metadata": item["metadata"], "status": None, "previous": status}]
    assert pair([], [item]) == [{**item, "previous": None}]


def test_old_manifests_without_a_budget_are_an_empty_plan(old: Path) -> None:
    old.write_text(API)
    result = run("-f", "-", "--diff", str(old), stdin=f"{BUDGET}---{API}")
    assert result.exit_code == 0
    assert "- -> fits" in result.stdout


def test_old_manifests_that_cannot_be_read_are_an_error(old: Path) -> None:
    old.write_text("kind: [")
    result = run("-f", "-", "--diff", str(old), stdin=f"{BUDGET}---{API}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{old}: document 1: line 2 column 1: is not YAML")


def test_an_annotation_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(f"{API}---{BUDGET.replace('200', '-1')}")
    (line,) = run("-f", str(path), "--github").stderr.splitlines()
    assert line.startswith(f"::error file={path},line=9,title=PoolBudget::{path}: document 2: PoolBudget shop/orders: ")


def test_a_misfit_is_an_annotation_whatever_the_output(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(f"{BUDGET}---{TOO_MANY}")
    for output in ("table", "json"):
        (line,) = run("-f", str(path), "--github", "-o", output).stderr.splitlines()
        assert line.startswith(f"::error file={path},line=2,title=PoolBudget::api: orders would need 248 of 190")


def test_a_warning_is_an_annotation() -> None:
    stdin = f"{BUDGET.replace('{name: api}', '{name: api, maxPods: 2}')}---{API}"
    assert run("-f", "-", "--github", stdin=stdin).stderr.startswith("::warning line=2,title=PoolBudget::")


def test_a_workflow_command_is_escaped() -> None:
    assert command("error", Problem("50%\nof 100", "a,b:c.yaml")) == (
        "::error file=a%2Cb%3Ac.yaml,title=PoolBudget::50%25%0Aof 100"
    )


def test_the_step_has_a_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = run("-f", str(old), "--github")
    assert summary.read_text() == f"before\n### PoolBudget\n\n```text\n{result.stdout}```\n"


def test_the_hook_runs_as_pre_commit_runs_it(old: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["pass_filenames"] is False
    old.write_text(f"{BUDGET}---{TOO_MANY}")
    entry = [*shlex.split(hook["entry"]), "-f", str(old)]
    result = subprocess.run(entry, env=_environment(old.parent), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "")
    assert "orders would need 248 of 190" in result.stdout


def test_the_action_plans_what_its_inputs_name(old: Path, tmp_path: Path) -> None:
    new, more = tmp_path / "a folder" / "new.yaml", tmp_path / "budget.yaml"
    new.parent.mkdir()
    new.write_text(MORE)
    more.write_text(BUDGET)
    result = _run_action(tmp_path, paths=f"{new.parent}\n{more}\n", diff=str(old))
    assert (result.returncode, result.stderr) == (0, "")
    assert "180 -> 168 planned" in result.stdout
    assert "180 -> 168 planned" in (tmp_path / "summary.md").read_text()


def test_the_action_fails_where_the_plan_does(tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(f"{BUDGET}---{TOO_MANY}")
    result = _run_action(tmp_path, paths=str(tmp_path / "new.yaml"))
    assert result.returncode == 1
    assert result.stderr.startswith("::error file=")


def test_the_example_workflow_gives_the_action_inputs_that_it_has() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    workflow = yaml.safe_load((ROOT / "examples" / "ci" / "poolbudget.yaml").read_text())
    used = [step for step in workflow["jobs"]["plan"]["steps"] if "/poolbudget@" in step.get("uses", "")]
    assert [set(step["with"]) for step in used] == [{"paths", "diff"}]
    assert set(used[0]["with"]) <= set(action["inputs"])


def _run_action(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the last step of the action as a runner does; the step before it has installed the command."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    step = action["runs"]["steps"][-1]
    values = {name: declared.get("default", "") for name, declared in action["inputs"].items()} | inputs
    env = {name: values[text.removeprefix("${{ inputs.").removesuffix(" }}")] for name, text in step["env"].items()}
    (folder / "poolbudget").symlink_to(Path(sys.prefix))
    env |= _environment(folder) | {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(shell, env=env, cwd=folder, capture_output=True, text=True, check=False)


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(home)}
