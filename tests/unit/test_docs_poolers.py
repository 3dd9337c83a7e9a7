"""docs/poolers.md: its budgets give the modes that it says, its settings are those of a pod, its reasons exist."""

import json
import re
from pathlib import Path

import pytest

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.planning.profiles import process_pools
from poolbudget.planning.settings import setting_values
from tests.unit.plan_manifests import run
from tests.unit.planning_inputs import budget, workload

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "poolers.md").read_text()
HEAD = "apiVersion: poolbudget.dev/v1alpha1\nkind: PoolBudget\nmetadata: {name: orders-db}\n"
BUDGETS = re.findall(r"```yaml\n(.*?)```\n\nGives: (.*?)\.\n", PAGE, re.DOTALL)
SWITCHES = PAGE.partition("## When it switches")[2].partition("##")[0]
REASONS = set(re.findall(r"^\|.*\| `(\w+)` \|$", SWITCHES, re.MULTILINE))
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("## What a pod gets")[2].partition("##")[0].splitlines()
    if line.startswith("| `DB_")
]
COLUMNS = (WorkloadMode.DIRECT, WorkloadMode.POOLED, WorkloadMode.NULL_POOL)


def test_every_budget_has_its_modes() -> None:
    assert len(BUDGETS) == PAGE.count("```yaml") > 0


@pytest.mark.parametrize(("spec", "modes"), BUDGETS)
def test_a_budget_gives_its_modes(spec: str, modes: str) -> None:
    result = run("-f", "-", "-o", "json", stdin=HEAD + spec)
    assert result.exit_code == 0, result.stderr
    workloads = json.loads(result.stdout)["items"][0]["status"]["workloads"]
    assert ", ".join(f"{w['name']} {w['mode']}" for w in workloads) == modes


def test_the_page_about_plans_shows_this_budget() -> None:
    table = run("-f", "-", stdin=HEAD + BUDGETS[0][0]).stdout
    assert "".join(table.splitlines(keepends=True)[1:5]) in (ROOT / "docs" / "plan.md").read_text()


def test_the_reasons_are_those_that_the_code_gives() -> None:
    sources = [(ROOT / f"operator/poolbudget/planning/{name}.py").read_text() for name in ("modes", "moving")]
    given = {word for text in sources for word in re.findall(r'(?:Stance|Move)\([^)]*?"([A-Z]\w+)"', text)}
    assert REASONS | {"Unroutable"} == given | {"FitsDirectly"}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_settings_are_those_of_a_pod(row: list[str]) -> None:
    """Compare where the page gives a value, not a rule."""
    variables = re.findall(r"`(DB_\w+)`", row[0])
    external = {"mode": "External", "external": {"host": "bouncer", "connections": 1}}
    spec = budget({"name": "api"}, database={"host": "db"}, pooler=external).spec
    one = workload(route="Env", pool={"maxOverflow": 3})
    for mode, said in zip(COLUMNS, row[1:], strict=True):
        values = setting_values(budget({"name": "api"}).key, spec, one, process_pools(one, 8, mode=mode), mode)
        found = {values[variable] for variable in variables}
        literal = re.fullmatch(r"(\w+)(;.*)?", said)
        if literal and not said.startswith(("as ", "size")):
            assert found == {literal[1]}
        else:
            assert RULES[said] == found


RULES = {
    "the server": {"db", "5432"},
    "the pooler": {"bouncer", "6432"},
    "its share, less the overflow": {"5"},
    "all that it may use: the least of `maxPerProcess`, `demand` and `max`": {"8"},
    "of its share, as declared": {"3"},
    "size + overflow": {"8"},
    "size": {"8"},
    "as declared": {"true"},
    "as Pooled": {"100"},
}
"""What a rule of the page comes to for a share of 8 connections with an overflow of 3."""
