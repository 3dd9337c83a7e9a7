"""Every test that docs/guarantees.md names exists, and every mutation of the model."""

import re
from pathlib import Path

import pytest

from tests.properties.ledger_mutations import MUTATIONS, POOLER_MUTATIONS
from tests.properties.moved_mutations import MOVED_MUTATIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
TESTS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
NAMED_MUTATIONS = {
    name for listed in re.findall(r"mutations? ((?:`\w+`(?:, )?)+)", PAGE) for name in re.findall(r"`(\w+)`", listed)
}


@pytest.mark.parametrize(("file", "test"), TESTS, ids=[test for _, test in TESTS])
def test_a_named_test_exists(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_the_named_mutations_are_those_of_the_model_that_a_reader_can_check() -> None:
    assert NAMED_MUTATIONS
    assert {mutation.__name__ for mutation in (*MUTATIONS, *POOLER_MUTATIONS, *MOVED_MUTATIONS)} >= NAMED_MUTATIONS
