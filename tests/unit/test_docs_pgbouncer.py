"""docs/pgbouncer.md names every reason of PoolerReady, and none that the code does not give."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "pgbouncer.md").read_text().partition("## PoolerReady")[2].partition("##")[0]
SOURCES = ("act/pooler_keeper", "act/pooler_secret", "observe/pooler", "observe/login")
GIVEN = re.compile(r'(?:Unobservable|PoolerState)\((?:\w+, )?"(\w+)"|reason="(\w+)"|(?:True|False), "(\w+)"')


def test_the_reasons_are_those_that_the_code_gives() -> None:
    named = re.findall(r"`([A-Z]\w+)`", "".join(line.split("|")[1] for line in TABLE.splitlines() if line[:1] == "|"))
    sources = [(ROOT / f"operator/poolbudget/{source}.py").read_text() for source in SOURCES]
    assert sorted(named) == sorted(
        {reason for text in sources for found in GIVEN.findall(text) for reason in found if reason}
    )
