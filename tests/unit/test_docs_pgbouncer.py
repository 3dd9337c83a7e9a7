"""docs/pgbouncer.md names every reason of PoolerReady that the code gives, and no other; its policy is what is made."""

import re
from pathlib import Path

import yaml

from poolbudget.api.parse import parse_budget
from tests.unit.test_pooler_objects import policies

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pgbouncer.md").read_text()
TABLE = PAGE.partition("## PoolerReady")[2].partition("##")[0]
SECTION = PAGE.partition("## Closing the direct way")[2].partition("\n## ")[0]
CLOSING = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
SOURCES = ("act/pooler_keeper", "act/pooler_secret", "observe/pooler", "observe/login")
GIVEN = re.compile(r'(?:Unobservable|PoolerState)\((?:\w+, )?"(\w+)"|reason="(\w+)"|(?:True|False), "(\w+)"')


def test_the_reasons_are_those_that_the_code_gives() -> None:
    named = re.findall(r"`([A-Z]\w+)`", "".join(line.split("|")[1] for line in TABLE.splitlines() if line[:1] == "|"))
    sources = [(ROOT / f"operator/poolbudget/{source}.py").read_text() for source in SOURCES]
    assert sorted(named) == sorted(
        {reason for text in sources for found in GIVEN.findall(text) for reason in found if reason}
    )


def test_the_field_that_closes_the_direct_way_can_be_applied() -> None:
    field, _ = map(yaml.safe_load, CLOSING)
    rest = {"maxConnections": 60, "database": {"host": "orders-db"}, "workloads": [{"name": "api"}]}
    assert parse_budget({"spec": rest | field["spec"]}).pooler.server_pod_selector


def test_the_policy_to_apply_by_hand_is_the_one_that_the_field_makes() -> None:
    field, by_hand = map(yaml.safe_load, CLOSING)
    made = policies(field["spec"]["pooler"]["serverPodSelector"])["orders-pooler-server"]
    assert (by_hand["apiVersion"], by_hand["kind"]) == (made["apiVersion"], made["kind"])
    assert by_hand["spec"] == made["spec"]
