"""Prepared statements behind a pooler in transaction mode: a wrong answer would be worse than a failed request."""

import inspect
import os

from tests.e2e import statements
from tests.e2e.database import Shop
from tests.e2e.pooler import AUTH, NAME, USERS, pooler, until_pooler, write_secret

QUERIES = int(os.environ.get("QUERIES", "100000"))
"""`make soak` asks a million."""
CONNECTIONS = 8
PER_SECOND = 500
"""What a slow machine manages at the least."""


async def test_the_drivers_caches_of_statements_are_left_on_and_every_answer_is_right(shop: Shop) -> None:
    await write_secret(shop, AUTH, USERS)
    await shop.budget({"name": "api", "route": "Env"}, pooler=pooler(maxConnections=CONNECTIONS))
    await until_pooler(shop, "Ready", "2 of 2 PgBouncer pods serve")
    program = ("python", "-c", inspect.getsource(statements), "--host", NAME, "--queries", str(QUERIES))
    await shop.start("statements", *program)
    told = await shop.result("statements", seconds=60 + QUERIES / PER_SECOND)
    print(told)
    assert (told["others"], told["for_example"]) == (0, {})
    assert told["right"] >= QUERIES
