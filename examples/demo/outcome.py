"""What was measured, side by side, and the verdict. Pure.

`phases` makes the measurements, `__main__` prints the table and exits by the verdict.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sighting:
    """One state of a pod as the watch showed it, `at` seconds on a monotonic clock."""

    at: float
    pod: str
    gated: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A pod that waited for its grant, and the reasons and messages of its condition in their order."""

    pod: str
    seconds: float
    notices: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one phase came to. Connections are client backends as the sampler saw them.

    `refused`: requests that failed since Postgres had no slot left (SQLSTATE 53300). `refused_logins`: what the
    server's own log says of that. `charged`: the most backends at one instant, without those within the ordinary
    reserve; `over`: the samples in which these were more than `usable`.
    """

    seconds: float
    ok: int
    refused: int
    failures: Mapping[str, int]
    slowest_p99_ms: float | None
    refused_logins: int
    usable: int
    peak: int
    charged: int
    samples: int
    over: int
    waits: tuple[Wait, ...] = ()

    @property
    def failed_otherwise(self) -> int:
        """Requests that failed for another reason than a refusal."""
        return sum(self.failures.values()) - self.refused


def measurement(
    *,
    seconds: float,
    loads: Iterable[Mapping[str, Any]],
    sampler: Mapping[str, Any],
    refused_logins: int,
    waits: tuple[Wait, ...],
) -> Measurement:
    """Put together what the load generators and the sampler printed."""
    loads = tuple(loads)
    failures: dict[str, int] = {}
    for load in loads:
        for name, count in load["failures"].items():
            failures[name] = failures.get(name, 0) + count
    return Measurement(
        seconds=seconds,
        ok=sum(load["ok"] for load in loads),
        refused=sum(load["too_many_clients"] for load in loads),
        failures=failures,
        slowest_p99_ms=max((load["p99_ms"] for load in loads if load["p99_ms"] is not None), default=None),
        refused_logins=refused_logins,
        usable=sampler["usable"],
        peak=sampler["peak"],
        charged=sampler["peak_charged"],
        samples=sampler["samples"],
        over=sampler["over_usable"],
        waits=waits,
    )


def waits_of(sightings: Iterable[Sighting]) -> tuple[Wait, ...]:
    """Return the pods that were told to wait, in the order in which they appeared, and how long the gate held them."""
    by_pod: dict[str, list[Sighting]] = {}
    for sighting in sightings:
        by_pod.setdefault(sighting.pod, []).append(sighting)
    return tuple(_wait(pod, seen) for pod, seen in by_pod.items() if any(s.gated and s.reason for s in seen))


def _wait(pod: str, seen: list[Sighting]) -> Wait:
    end = next((s.at for s in seen if not s.gated), seen[-1].at)
    notices = dict.fromkeys((s.reason, s.message) for s in seen if s.gated and s.reason)
    return Wait(pod, end - seen[0].at, tuple(notices))


ROWS: tuple[tuple[str, Callable[[Measurement], str]], ...] = (
    ("seconds of load", lambda m: f"{m.seconds:.0f}"),
    ("requests answered", lambda m: f"{m.ok}"),
    ("  per second", lambda m: f"{m.ok / m.seconds:.0f}"),
    ("requests failed", lambda m: f"{m.refused + m.failed_otherwise}"),
    ("  refused: too many clients", lambda m: f"{m.refused}"),
    ("  for another reason", lambda m: f"{m.failed_otherwise}"),
    ("logins that Postgres refused (its log)", lambda m: f"{m.refused_logins}"),
    ("slowest answers, p99 in ms", lambda m: "-" if m.slowest_p99_ms is None else f"{m.slowest_p99_ms:.0f}"),
    ("peak backends, everybody's", lambda m: f"{m.peak}"),
    ("peak backends against usable", lambda m: f"{m.charged} of {m.usable}"),
    ("samples above usable", lambda m: f"{m.over} of {m.samples}"),
    ("pods that waited for a grant", lambda m: f"{len(m.waits)}"),
)


def table(without: Measurement, with_budget: Measurement) -> str:
    """Return the two measurements side by side, and below them the other failures and the waiting pods."""
    cells = [("", "without a budget", "with PoolBudget")]
    cells += [(title, figure(without), figure(with_budget)) for title, figure in ROWS]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = [f"{title:<{widths[0]}}  {left:>{widths[1]}}  {right:>{widths[2]}}" for title, left, right in cells]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([*lines, *_other_failures(without, with_budget), *_waiting(with_budget)])


def _other_failures(*measurements: Measurement) -> list[str]:
    names = {name for m in measurements for name in m.failures if name != "too_many_clients"}
    if not names:
        return []
    counts = (f"  {name}: {' and '.join(str(m.failures.get(name, 0)) for m in measurements)}" for name in sorted(names))
    return ["", "Failures for another reason, without and with the budget:", *counts]


def _waiting(measured: Measurement) -> list[str]:
    if not measured.waits:
        return []
    lines = ["", "Pods that waited, and what their condition poolbudget.dev/Granted said:"]
    for wait in measured.waits:
        lines.append(f"  {wait.pod}, {wait.seconds:.1f} s")
        lines += [f"    {reason}: {message}" for reason, message in wait.notices]
    return lines


def complaints(with_budget: Measurement) -> list[str]:
    """Return what was not kept with the budget on; nothing if it held."""
    m = with_budget
    checks = (
        (m.samples == 0, "the sampler saw nothing, so nothing is shown"),
        (m.ok == 0, "no request was answered, so nothing is shown"),
        (m.over > 0, f"{m.over} of {m.samples} samples were above usable: {m.charged} of {m.usable}"),
        (m.refused > 0, f"{m.refused} requests were refused a connection"),
        (m.refused_logins > 0, f"Postgres refused {m.refused_logins} logins"),
    )
    return [text for broken, text in checks if broken]
