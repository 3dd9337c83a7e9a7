"""The example's application with what the loads of the bench ask for besides. It runs in a pod: `scene` puts it there.

All routes are GETs, since the example's generator sends nothing else.
"""

import asyncio

from app.main import ORDER, app  # type: ignore[import-not-found]
from sqlalchemy import text

FANS = 5
QUERY_SECONDS = 0.005
HOLD_SECONDS = 2.0
NOTE = text("INSERT INTO notes (order_id) VALUES (:number)")


async def fan_out(number: int) -> list[int]:
    """Orders, read by queries that run at the same time, each on a connection of its own."""
    return await asyncio.gather(*(quantity(number + offset) for offset in range(FANS)))


async def quantity(number: int) -> int:
    async with app.state.engine.connect() as connection:
        row = (await connection.execute(ORDER, {"number": number, "seconds": QUERY_SECONDS})).one()
    return int(row.quantity)


async def note(number: int) -> dict[str, int]:
    """One row, written and committed."""
    async with app.state.engine.begin() as connection:
        await connection.execute(NOTE, {"number": number})
    return {"id": number}


async def held(number: int) -> dict[str, int]:
    """A transaction that reads, waits for something else than the database, and writes."""
    async with app.state.engine.begin() as connection:
        await connection.execute(ORDER, {"number": number, "seconds": 0.0})
        await asyncio.sleep(HOLD_SECONDS)
        await connection.execute(NOTE, {"number": number})
    return {"id": number}


app.add_api_route("/fan-out/{number}", fan_out)
app.add_api_route("/notes/{number}", note)
app.add_api_route("/held/{number}", held)
