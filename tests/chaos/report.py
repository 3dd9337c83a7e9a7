"""One line that says what a run came to, and the verdict. Pure; `__main__` prints both."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.witness import Witness

DUE_TO_BUDGET = ("too_many_clients", "TimeoutError")
"""Failures of requests: Postgres had no slot, or the pool gave no connection within its time-out."""

Line = dict[str, Any]


def report(
    *,
    seed: int,
    seconds: float,
    settings: Mapping[str, Any],
    faults: Counter[str],
    missed: Counter[str],
    witness: Witness,
    sampler: Mapping[str, Any],
    loads: Sequence[Mapping[str, Any]],
    refused_logins: int,
) -> Line:
    """Return what is printed.

    `sampler` and `loads` are the lines of those programs; `refused_logins` are the lines of Postgres' log with
    SQLSTATE 53300; `faults` those carried out and `missed` those that found no victim, by kind.
    """
    failures: Counter[str] = Counter()
    for load in loads:
        failures.update(load["failures"])
    finished = len(witness.rollouts) - len(witness.unfinished())
    return {
        "seed": seed,
        "seconds": round(seconds),
        **settings,
        "samples": sampler["samples"],
        "samples_over": sampler["over"],
        "peak_backends": sampler["peak"],
        "usable": sampler["usable"],
        "stretches_over": sampler["stretches"],
        "longest_over_ms": max((excess["milliseconds"] for excess in sampler["excesses"]), default=0),
        "sampler_connects": sampler["connects"],
        "sampler_longest_gap_s": sampler["longest_gap_seconds"],
        "refused_in_log": refused_logins,
        "refused_in_apps": failures["too_many_clients"],
        "faults": sum(faults.values()),
        "faults_by_kind": dict(sorted(faults.items())),
        "missed_by_kind": dict(sorted(missed.items())),
        "rollouts_started": len(witness.rollouts),
        "rollouts_finished": finished,
        "longest_rollout_s": round(witness.longest_rollout(), 1),
        "pods_that_waited": len(witness.waits),
        "longest_wait_s": round(witness.longest_wait(), 1),
        "requests_ok": sum(load["ok"] for load in loads),
        "requests_failed": failures.total(),
        "requests_failed_due_to_budget": sum(failures[name] for name in DUE_TO_BUDGET),
        "failures": dict(failures.most_common()),
    }


def complaints(line: Line) -> list[str]:
    """Return what was not kept; nothing if the run passed."""
    checks = (
        (line["samples"] == 0, "the sampler saw nothing, so nothing is shown"),
        (line["requests_ok"] == 0, "no request was answered, so nothing is shown"),
        (line["rollouts_started"] == 0, "no rollout was started, so nothing is shown"),
        (line["samples_over"] > 0, f"{line['samples_over']} samples were above usable"),
        (line["refused_in_log"] > 0, f"Postgres refused {line['refused_in_log']} logins"),
        (line["refused_in_apps"] > 0, f"{line['refused_in_apps']} requests were refused a connection"),
        (
            line["rollouts_finished"] < line["rollouts_started"],
            f"{line['rollouts_started'] - line['rollouts_finished']} rollouts did not finish",
        ),
    )
    return [text for broken, text in checks if broken]
