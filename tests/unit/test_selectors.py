"""Label selectors, as Kubernetes reads them."""

from typing import Any

import pytest

from poolbudget.api.v1alpha1 import LabelSelector
from poolbudget.planning.selectors import selects

LABELS = {"team": "orders", "tier": "a"}


def requirement(operator: str, *values: str, key: str = "tier") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        pytest.param({}, True, id="an empty selector selects everything"),
        pytest.param({"matchLabels": {"team": "orders"}}, True, id="a label with its value"),
        pytest.param({"matchLabels": {"team": "search"}}, False, id="a label with another value"),
        pytest.param({"matchLabels": {"team": "orders", "stage": "live"}}, False, id="a label that is not there"),
        pytest.param(requirement("In", "a", "b"), True, id="In"),
        pytest.param(requirement("In", "b"), False, id="In others"),
        pytest.param(requirement("In", "b", key="stage"), False, id="In of a label that is not there"),
        pytest.param(requirement("NotIn", "b"), True, id="NotIn"),
        pytest.param(requirement("NotIn", "a"), False, id="NotIn its own"),
        pytest.param(requirement("NotIn", "a", key="stage"), True, id="NotIn of a label that is not there"),
        pytest.param(requirement("Exists"), True, id="Exists"),
        pytest.param(requirement("Exists", key="stage"), False, id="Exists of a label that is not there"),
        pytest.param(requirement("DoesNotExist"), False, id="DoesNotExist"),
        pytest.param(requirement("DoesNotExist", key="stage"), True, id="DoesNotExist of a label that is not there"),
        pytest.param({"matchLabels": {"team": "orders"}} | requirement("In", "b"), False, id="all must hold"),
    ],
)
def test_selects(selector: dict[str, Any], selected: bool) -> None:
    assert selects(LabelSelector.model_validate(selector), LABELS) is selected
