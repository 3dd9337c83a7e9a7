"""What the API server refuses and fills in at `kubectl apply`. Nothing is created: every request is a dry run."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from poolbudget.api.parse import parse_budget
from poolbudget.api.v1alpha1 import API_VERSION, KIND
from tests.functional.accepted import ACCEPTED
from tests.functional.refusals import REFUSALS, Refusal
from tests.functional.workload_refusals import WORKLOAD_REFUSALS

ALL_REFUSALS = REFUSALS | WORKLOAD_REFUSALS
CRD = Path(__file__).parents[2] / "crds" / "poolbudget.dev_poolbudgets.yaml"


def kubectl(*arguments: str, manifest: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run kubectl with the environment as it is, `manifest` on its standard input."""
    return subprocess.run(
        ["kubectl", *arguments], input=json.dumps(manifest), text=True, capture_output=True, check=False, timeout=60
    )


def apply(spec: Mapping[str, Any], name: str = "orders-db") -> subprocess.CompletedProcess[str]:
    manifest = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
    return kubectl("apply", "--dry-run=server", "--output=json", "--filename=-", manifest=manifest)


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    applied = kubectl("apply", "--server-side", "--force-conflicts", f"--filename={CRD}")
    assert applied.returncode == 0, applied.stderr
    ready = kubectl("wait", "--for=condition=Established", "--timeout=30s", f"--filename={CRD}")
    assert ready.returncode == 0, ready.stderr


@pytest.mark.parametrize("refusal", ALL_REFUSALS.values(), ids=ALL_REFUSALS.keys())
def test_a_bad_spec_is_refused_with_a_sentence_that_says_what_to_write(refusal: Refusal) -> None:
    applied = apply(refusal.spec)
    assert applied.returncode != 0
    assert refusal.path in applied.stderr
    assert (refusal.online or refusal.says) in applied.stderr


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_good_spec_is_accepted_and_read_back_as_it_was_meant(spec: dict[str, Any]) -> None:
    applied = apply(spec)
    assert applied.returncode == 0, applied.stderr
    assert parse_budget(json.loads(applied.stdout)) == parse_budget({"spec": spec})


def test_defaults_are_stored_where_the_contract_gives_one_and_nowhere_else() -> None:
    applied = apply({"maxConnections": 200, "database": {"host": "db"}, "workloads": [{"name": "api"}]})
    assert json.loads(applied.stdout)["spec"] == {
        "maxConnections": 200,
        "reservedConnections": 10,
        "headroom": 0,
        "database": {"host": "db", "port": 5432, "tls": {"mode": "Prefer"}},
        "admission": "Strict",
        "updateMode": "Initial",
        "pooler": {"mode": "Auto"},
        "tuning": {"mode": "Off"},
        "allowedNamespaces": {"from": "Same"},
        "workloads": [
            {
                "name": "api",
                "mode": "Auto",
                "route": "None",
                "weight": 1,
                "maxPerProcess": 20,
                "extraPerPod": 0,
                "pool": {"maxOverflow": 0, "timeoutMilliseconds": 30000, "recycleSeconds": 1800, "prePing": True},
                "env": {"profile": "Default"},
            }
        ],
    }


def test_a_thousand_workloads_are_accepted_within_the_cost_that_rules_may_have() -> None:
    workloads = [{"name": f"workload-{n}", "targetRef": {"name": f"{'long-name-' * 20}{n}"}} for n in range(1000)]
    applied = apply({"maxConnections": 100_000, "workloads": workloads})
    assert applied.returncode == 0, applied.stderr


def test_a_name_that_no_label_can_carry_is_refused() -> None:
    applied = apply({"maxConnections": 100, "workloads": [{"name": "api"}]}, name="a" * 64)
    assert "metadata.name must be at most 63 characters" in applied.stderr


def test_every_field_is_explained() -> None:
    explained = kubectl("explain", "poolbudgets.spec.workloads.demand")
    assert "How many connections are needed at once" in explained.stdout, explained.stderr
    assert "How long one request holds its connection" in explained.stdout


def test_the_short_name_lists_the_budgets() -> None:
    listed = kubectl("get", "pb", "--all-namespaces")
    assert listed.returncode == 0, listed.stderr


def test_the_unquoted_off_is_explained() -> None:
    explained = kubectl("explain", "poolbudgets.spec.updateMode")
    assert 'Write "Off" in quotes' in " ".join(explained.stdout.split()), explained.stderr
