import subprocess
import sys
from typing import Any

import pytest

from poolbudget.api.parse import SpecError, parse_budget
from poolbudget.api.v1alpha1 import TargetReference
from tests.functional.accepted import ACCEPTED
from tests.functional.refusals import REFUSALS, Refusal
from tests.functional.workload_refusals import WORKLOAD_REFUSALS

ALL_REFUSALS = REFUSALS | WORKLOAD_REFUSALS


def problems_of(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        parse_budget(manifest)
    return [(problem.path, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize("refusal", ALL_REFUSALS.values(), ids=ALL_REFUSALS.keys())
def test_a_bad_spec_is_refused_once_at_the_place_to_mend(refusal: Refusal) -> None:
    ((path, message),) = problems_of({"spec": refusal.spec})
    assert path == refusal.path
    assert refusal.says in message
    assert "\n" not in message
    assert "Input should" not in message


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_good_spec_is_accepted(spec: dict[str, Any]) -> None:
    parse_budget({"spec": spec})


def test_every_problem_is_named_at_once() -> None:
    found = problems_of(
        {
            "metadata": {"name": "a" * 64},
            "spec": {
                "maxConnections": -1,
                "workloads": [{"name": "A"}, {"name": "b", "max": "0%", "minPerProcess": 21}],
            },
        }
    )
    assert [path for path, _ in found] == [
        "metadata.name",
        "spec.maxConnections",
        "spec.workloads[0].name",
        "spec.workloads[1].max",
    ]


def test_two_broken_rules_of_one_value_are_two_problems() -> None:
    pooler = {"minConnections": 3, "maxConnections": 2, "external": {"host": "x", "connections": 1}}
    found = problems_of({"spec": {"maxConnections": 100, "pooler": pooler, "workloads": [{"name": "a"}]}})
    assert [path for path, _ in found] == ["spec.pooler.external", "spec.pooler.minConnections"]


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({}, ("spec", "Required value")),
        ({"spec": None}, ("spec", "Required value")),
        ({"spec": []}, ("spec", "must be a mapping of fields, not []")),
        ({"spec": "x"}, ("spec", 'must be a mapping of fields, not "x"')),
    ],
    ids=["no spec", "a null spec", "a list for a spec", "a word for a spec"],
)
def test_a_manifest_without_a_proper_spec_is_refused(manifest: dict[str, Any], expected: tuple[str, str]) -> None:
    assert problems_of(manifest) == [expected]


def test_fields_have_one_spelling_only() -> None:
    found = problems_of({"spec": {"max_connections": 100, "workloads": [{"name": "a"}]}})
    assert ("spec.max_connections", "unknown field; did you mean maxConnections?") in found


def test_a_field_like_no_other_gets_the_list_of_those_that_exist() -> None:
    ((_, message),) = problems_of({"spec": {"maxConnections": 50, "workloads": [{"name": "a"}], "zzz": 1}})
    assert message.startswith("unknown field; known are maxConnections, reservedConnections, headroom")


def test_a_key_that_is_no_text_is_an_unknown_field() -> None:
    found = problems_of({"spec": {"maxConnections": 50, "workloads": [{"name": "a"}], True: 1}})
    assert [path for path, _ in found] == ["spec.True"]


def test_an_error_prints_one_line_for_each_problem() -> None:
    with pytest.raises(SpecError) as caught:
        parse_budget({"spec": {"maxConnections": 0, "headroom": -1, "workloads": [{"name": "a"}]}})
    assert str(caught.value).splitlines() == [
        "spec.maxConnections: Invalid value: 0: should be greater than or equal to 1",
        "spec.headroom: Invalid value: -1: should be greater than or equal to 0",
    ]


def test_the_target_is_the_deployment_of_the_workloads_name_unless_written() -> None:
    spec = parse_budget(
        {
            "spec": {
                "maxConnections": 100,
                "workloads": [{"name": "api"}, {"name": "db", "targetRef": {"kind": "StatefulSet", "name": "x"}}],
            }
        }
    )
    assert [workload.target for workload in spec.workloads] == [
        TargetReference(api_version="apps/v1", kind="Deployment", name="api"),
        TargetReference(api_version="apps/v1", kind="StatefulSet", name="x"),
    ]


def test_reading_the_resource_imports_nothing_of_the_edge() -> None:
    script = "import sys, poolbudget.api.parse; print({'kopf', 'kubernetes', 'aiohttp', 'asyncpg'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
