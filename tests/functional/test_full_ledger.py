"""The most that a ledger may hold fits into its object on a real API server, whatever the pods are called."""

from poolbudget.act.ledger import LedgerStore
from poolbudget.ledger.model import MOST_ENTRIES
from tests.functional.space import OPERATOR_NAMESPACE, Space
from tests.unit.ledger_builders import ledger, longest


async def test_a_full_ledger_is_written_and_read_back(space: Space) -> None:
    full = ledger(*(longest(number, connections=1) for number in range(MOST_ENTRIES)))
    server = f"{space.name}/orders"
    store = LedgerStore(space.kube, OPERATOR_NAMESPACE, server)
    await store.read()
    await store.write(full)
    assert await LedgerStore(space.kube, OPERATOR_NAMESPACE, server).read() == full
    await store.remove()
