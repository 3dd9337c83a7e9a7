"""docs/sizing.md: every PoolBudget on the page gives the numbers that the page says."""

import json
import re
import textwrap
from pathlib import Path

import pytest

from tests.unit.plan_manifests import run

PAGE = Path(__file__).parents[2] / "docs" / "sizing.md"
HEAD = "apiVersion: poolbudget.dev/v1alpha1\nkind: PoolBudget\nmetadata: {name: orders-db}\n"
CASES = re.findall(r"```yaml\n(.*?)```\n\nGives each process: (.*?)\.\n", PAGE.read_text(), re.DOTALL)


def test_every_block_has_numbers() -> None:
    assert len(CASES) == PAGE.read_text().count("```yaml") == 11


@pytest.mark.parametrize(("spec", "numbers"), CASES, ids=[f"block {i}" for i in range(1, len(CASES) + 1)])
def test_a_block_gives_its_numbers(spec: str, numbers: str) -> None:
    result = run("-f", "-", "-o", "json", stdin=HEAD + textwrap.dedent(spec))
    assert result.exit_code == 0, result.stderr
    (workload,) = json.loads(result.stdout)["items"][0]["status"]["workloads"]
    pools = workload.get("pools") or [workload["pool"]]
    said = [f"{pool.get('name', '')} {pool['size']} + {pool['overflow']}".strip() for pool in pools]
    assert ", ".join(said) == numbers
