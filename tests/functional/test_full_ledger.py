"""A ledger takes 5,000 pods, whatever they are called; one more waits, and the budget says so."""

import asyncio
import sys
from pathlib import Path

from poolbudget.act.ledger import LedgerStore
from poolbudget.ledger.model import MOST_ENTRIES
from tests.functional.cluster import budget
from tests.functional.manifests import deployment
from tests.functional.space import OPERATOR_NAMESPACE, Space, condition, notice
from tests.unit.ledger_builders import ledger, longest

POOLBUDGET = Path(sys.executable).with_name("poolbudget")


async def test_one_pod_more_than_a_ledger_holds_waits_until_another_is_let_go(space: Space) -> None:
    """The pods of the ledger vanished before any operator saw them, so each of them stays until it is forgotten."""
    full = ledger(*(longest(number, connections=1) for number in range(MOST_ENTRIES)))
    store = LedgerStore(space.kube, OPERATOR_NAMESPACE, f"{space.name}/orders")
    await store.read()
    await store.write(full)

    api = {"name": "api", "processes": 1, "maxPods": 1}
    await space.apply(budget(space.name, api, maxConnections=6000, reservedConnections=0), deployment("api", 1))
    (waiting,) = await space.until_pods("api", waiting=1, reason="LedgerFull", seconds=180)
    assert "holds 5000 pods, which is the most: run fewer pods" in notice(waiting)["message"]
    is_full = lambda status: condition(status, "Ready").get("reason") == "LedgerFull"  # noqa: E731
    status = await space.status("orders", is_full, what="the ledger is full")
    assert condition(status, "WithinBudget")["status"] == "False"

    victim = next(iter(full.values()))
    forget = await asyncio.create_subprocess_exec(POOLBUDGET, "forget", victim.pod, "-n", victim.namespace)
    assert await forget.wait() == 0
    await space.until_pods("api", granted=1, seconds=180)
