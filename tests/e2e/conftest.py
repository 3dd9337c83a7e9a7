"""Each end-to-end test has a Postgres of its own, in a namespace of its own."""

import pytest

from tests.e2e.database import Shop, open_shop
from tests.functional.space import Space


@pytest.fixture
async def shop(space: Space) -> Shop:
    return await open_shop(space)
