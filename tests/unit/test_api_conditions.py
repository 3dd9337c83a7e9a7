from poolbudget.api.conditions import NewCondition, merge
from poolbudget.api.v1alpha1 import Condition

EARLIER, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def shown(status: str = "True", type_: str = "Ready") -> Condition:
    return Condition.model_validate(
        {
            "type": type_,
            "status": status,
            "reason": "Old",
            "message": "old",
            "lastTransitionTime": EARLIER,
            "observedGeneration": 1,
        }
    )


def found(status: bool | None = True, type_: str = "Ready") -> NewCondition:
    return NewCondition(type_, status, "New", "new")


def test_the_time_stays_while_the_status_does_and_the_rest_is_new() -> None:
    (merged,) = merge([shown("True")], [found(True)], 2, NOW)
    assert merged.model_dump(by_alias=True) == {
        "type": "Ready",
        "status": "True",
        "reason": "New",
        "message": "new",
        "lastTransitionTime": EARLIER,
        "observedGeneration": 2,
    }


def test_the_time_moves_when_the_status_flips() -> None:
    for status, word in ((False, "False"), (None, "Unknown")):
        (merged,) = merge([shown("True")], [found(status)], 2, NOW)
        assert (merged.status, merged.last_transition_time) == (word, NOW)


def test_a_condition_that_is_new_begins_now() -> None:
    (merged,) = merge([], [found(None)], 1, NOW)
    assert (merged.status, merged.last_transition_time) == ("Unknown", NOW)


def test_the_order_is_that_of_the_new_ones_and_others_go() -> None:
    before = [shown(type_="PoolerReady"), shown(type_="Ready"), shown(type_="WithinBudget")]
    merged = merge(before, [found(type_="WithinBudget"), found(type_="Ready")], 2, NOW)
    assert [item.type for item in merged] == ["WithinBudget", "Ready"]
    assert {item.last_transition_time for item in merged} == {EARLIER}


def test_merging_twice_changes_nothing() -> None:
    once = merge([], [found()], 1, EARLIER)
    assert merge(once, [found()], 1, NOW) == once
