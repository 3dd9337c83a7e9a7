"""docs/pgbouncer.md names every reason of PoolerReady that the code gives, and no other; its policy fits the pods."""

import re
from pathlib import Path

import yaml

from poolbudget.ledger.model import BUDGET_LABEL, WORKLOAD_LABEL
from tests.unit.test_pooler_objects import pooler, rendered

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pgbouncer.md").read_text()
TABLE = PAGE.partition("## PoolerReady")[2].partition("##")[0]
SOURCES = ("act/pooler_keeper", "act/pooler_secret", "observe/pooler", "observe/login")
GIVEN = re.compile(r'(?:Unobservable|PoolerState)\((?:\w+, )?"(\w+)"|reason="(\w+)"|(?:True|False), "(\w+)"')


def test_the_reasons_are_those_that_the_code_gives() -> None:
    named = re.findall(r"`([A-Z]\w+)`", "".join(line.split("|")[1] for line in TABLE.splitlines() if line[:1] == "|"))
    sources = [(ROOT / f"operator/poolbudget/{source}.py").read_text() for source in SOURCES]
    assert sorted(named) == sorted(
        {reason for text in sources for found in GIVEN.findall(text) for reason in found if reason}
    )


def test_the_policy_that_closes_the_direct_way_lets_in_the_pooler_direct_pods_and_the_operator() -> None:
    _, _, example = PAGE.partition("## Closing the direct way")
    policy = yaml.safe_load(example.partition("```yaml\n")[2].partition("```")[0])
    own, direct, operator = policy["spec"]["ingress"][0]["from"]
    assert own["podSelector"]["matchLabels"].items() <= pooler().labels.items()
    assert direct["podSelector"]["matchLabels"] == {BUDGET_LABEL: "orders", WORKLOAD_LABEL: "worker"}
    (rule,) = rendered()["NetworkPolicy"]["spec"]["ingress"]
    assert rule["from"][1]["namespaceSelector"] == operator["namespaceSelector"]
