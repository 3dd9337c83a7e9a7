"""The same seed means the same faults; what was seen is added up right, and the verdict fails when it should."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.report import complaints, report
from tests.chaos.sampler import Account
from tests.chaos.schedule import DECK, PAUSE_SECONDS, Fault, schedule
from tests.chaos.witness import Witness

NOON = 1_000_000.0


def test_a_seed_makes_one_schedule() -> None:
    assert schedule(7, 600) == schedule(7, 600)
    assert schedule(7, 600) != schedule(8, 600)
    assert schedule(7, 600)[: len(schedule(7, 60))] == schedule(7, 60)


@pytest.mark.parametrize("seed", range(20))
def test_ten_minutes_hold_every_kind_at_its_share(seed: int) -> None:
    faults = schedule(seed, 600)
    kinds = Counter(fault.kind for fault in faults)
    deals = len(faults) // sum(DECK.values())
    assert deals >= 2
    assert all(kinds[kind] >= deals * times for kind, times in DECK.items())
    gaps = [after.at - before.at for before, after in pairwise(faults)]
    assert min(gaps) >= PAUSE_SECONDS[0] - 0.02
    assert all(0 <= fault.at < 600 for fault in faults)


def test_what_is_scheduled_can_be_done() -> None:
    assert FAULTS.keys() == DECK.keys()


@pytest.mark.parametrize(("pick", "victim"), [(0.0, "a"), (0.34, "b"), (0.999, "c")])
def test_a_fault_chooses_among_whatever_there_is(pick: float, victim: str) -> None:
    assert Fault(0, "rollout", pick, 0.5).choose(["a", "b", "c"]) == victim
    assert Fault(0, "rollout", pick, 0.5).between(4, 8) == 6


def deployment(generation: int, *, observed: int, updated: int = 2, replicas: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"name": "api", "generation": generation},
        "spec": {"replicas": 2},
        "status": {
            "observedGeneration": observed,
            "replicas": replicas,
            "updatedReplicas": updated,
            "availableReplicas": 2,
        },
    }


def pod(uid: str, *, gated: bool) -> dict[str, Any]:
    gates = [{"name": "poolbudget.dev/grant"}] if gated else []
    return {"metadata": {"uid": uid, "name": uid}, "spec": {"schedulingGates": gates}}


@pytest.mark.parametrize(
    ("state", "unfinished"),
    [
        (deployment(2, observed=2), 0),
        (deployment(3, observed=3), 0),
        (deployment(2, observed=1), 1),
        (deployment(2, observed=2, updated=1), 1),
        (deployment(2, observed=2, replicas=3), 1),
    ],
    ids=["complete", "complete at a later generation", "not seen by its controller", "a pod is old", "an old pod ends"],
)
def test_a_rollout_is_finished_when_its_deployment_is(state: dict[str, Any], unfinished: int) -> None:
    witness = Witness()
    witness.rollout_begun("api", 2, NOON)
    witness.rollout_begun("worker", 1, NOON)
    witness.see([state], [], NOON + 9)
    assert [r.workload for r in witness.unfinished()] == ["api"] * unfinished + ["worker"]
    assert witness.longest_rollout() == (0 if unfinished else 9)


def test_a_wait_lasts_as_long_as_the_gate_is_seen() -> None:
    witness = Witness()
    witness.see([], [pod("a", gated=True), pod("b", gated=True), pod("c", gated=False)], NOON)
    witness.see([], [pod("a", gated=True)], NOON + 3)
    witness.see([], [pod("a", gated=False), pod("b", gated=True)], NOON + 4)
    assert {wait.pod: wait.seconds for wait in witness.waits.values()} == {"a": 3, "b": 4}
    assert witness.longest_wait() == 4


def row(role: str, count: int, application: str = "chaos/api") -> dict[str, Any]:
    return {"role": role, "application": application, "address": "10.0.0.1", "state": "active", "count": count}


def test_the_sampler_tells_stretches_above_usable_apart_and_keeps_the_worst_first() -> None:
    account = Account(role="shop", usable=5, reserve=2)
    counts = [5, 6, 8, 7, 5, 6]
    for number, count in enumerate(counts):
        account.add([row("shop", count), row("poolbudget_monitor", 2, "poolbudget")], NOON + number / 50)  # type: ignore[list-item]
    line = account.line()
    assert (line["samples"], line["over"], line["peak"], line["stretches"]) == (6, 4, 8, 2)
    worst = account.line()["excesses"][0]  # type: ignore[index]
    assert (worst["most"], worst["samples"], worst["milliseconds"]) == (8, 3, 40.0)
    assert worst["backends"] == {"chaos/api 10.0.0.1 active": 8, "poolbudget 10.0.0.1 active": 2}


def test_the_sampler_charges_other_roles_beyond_the_reserve() -> None:
    account = Account(role="shop", usable=5, reserve=2)
    account.add([row("shop", 4), row("postgres", 3, "psql")], NOON)  # type: ignore[list-item]
    assert (account.peak, account.over) == (5, 0)


HELD: dict[str, Any] = {
    "samples": 30000,
    "over": 0,
    "peak": 54,
    "usable": 54,
    "stretches": 0,
    "excesses": [],
    "connects": 3,
    "longest_gap_seconds": 2.1,
}


def line(*, load: dict[str, int] | None = None, refused: int = 0, finished: bool = True, **seen: Any) -> dict[str, Any]:
    witness = Witness()
    witness.rollout_begun("api", 2, NOON)
    if finished:
        witness.see([deployment(2, observed=2)], [], NOON + 9)
    return report(
        seed=7,
        seconds=600.4,
        settings={"headroom": 0},
        faults=Counter(rollout=1, scale=2),
        missed=Counter(),
        witness=witness,
        sampler=HELD | seen,
        loads=[{"ok": 100, "failures": {"ClientOSError": 4, **(load or {})}}, {"ok": 20, "failures": {}}],
        refused_logins=refused,
    )


def test_the_line_adds_up_what_was_seen() -> None:
    got = line(load={"TimeoutError": 2})
    assert complaints(got) == []
    assert (got["seconds"], got["faults"], got["faults_by_kind"]) == (600, 3, {"rollout": 1, "scale": 2})
    assert (got["rollouts_started"], got["rollouts_finished"], got["longest_rollout_s"]) == (1, 1, 9)
    assert (got["requests_ok"], got["requests_failed"], got["requests_failed_due_to_budget"]) == (120, 6, 2)


@pytest.mark.parametrize(
    ("got", "complaint"),
    [
        (line(over=3, peak=56, excesses=[{"milliseconds": 40.0}]), "3 samples were above usable"),
        (line(refused=2), "Postgres refused 2 logins"),
        (line(load={"too_many_clients": 5}), "5 requests were refused a connection"),
        (line(finished=False), "1 rollouts did not finish"),
        (line(samples=0), "the sampler saw nothing, so nothing is shown"),
    ],
    ids=["a sample above usable", "a refused login", "a refused request", "an unfinished rollout", "no sample"],
)
def test_the_verdict_complains_of(got: dict[str, Any], complaint: str) -> None:
    assert complaints(got) == [complaint]
