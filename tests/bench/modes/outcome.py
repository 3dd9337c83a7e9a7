"""What the measurements came to: a table for each load, and where PoolBudget loses. Pure; `bench_modes` prints it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.modes.arms import Arm, Load

CHARGED = ("application", "postgres", "pooler", "operator")
"""Whose processor time is shown; the programs that measure are left out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One arm under one load.

    `goodput`: answers with status 200 per second. `p50_ms`, `p99_ms`: of those, and of the requests that were
    unanswered at the end. `refused`: requests that failed with SQLSTATE 53300; `refused_logins`: what the log of
    Postgres says of that; `failures`: all failed requests by kind. `peak`: the most backends of the application's role
    at one instant, `over`: samples above usable. `processor_seconds` by group, over the whole measurement.
    `scaled_out_s`, `rolled_out_s`: how long the events took, None if they did not finish. `late_p99_ms`: by how much
    the generator itself was late.
    """

    arm: str
    load: str
    ours: bool
    seconds: float
    goodput: float
    p50_ms: float | None
    p99_ms: float | None
    unanswered: int
    refused: int
    refused_logins: int
    failures: Mapping[str, int]
    peak: int
    over: int
    samples: int
    processor_seconds: Mapping[str, float]
    scaled_out_s: float | None
    rolled_out_s: float | None
    late_p99_ms: float | None

    @property
    def processors(self) -> float:
        """Processor seconds of all that is charged."""
        return sum(self.processor_seconds.get(group, 0.0) for group in CHARGED)


def row(
    arm: Arm,
    load: Load,
    *,
    sent: Mapping[str, Any],
    seen: Mapping[str, Any],
    refused_logins: int,
    processor_seconds: Mapping[str, float],
    events: Mapping[str, float | None],
) -> Row:
    """Put together what the generator (`sent`) and the sampler (`seen`) printed, and what was read besides."""
    return Row(
        arm=arm.name,
        load=load.name,
        ours=arm.is_ours,
        seconds=sent["seconds"],
        goodput=round(sent["ok"] / sent["seconds"], 1),
        p50_ms=sent["p50_ms"],
        p99_ms=sent["p99_ms"],
        unanswered=sent["unanswered"],
        refused=sent["failures"].get("too_many_clients", 0),
        refused_logins=refused_logins,
        failures=sent["failures"],
        peak=seen["peak_by_role"].get("shop", 0),
        over=seen["over_usable"],
        samples=seen["samples"],
        processor_seconds=processor_seconds,
        scaled_out_s=events["scaled_out_s"],
        rolled_out_s=events["rolled_out_s"],
        late_p99_ms=sent["late_p99_ms"],
    )


def figure(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def used(group: str) -> Callable[[Row], str]:
    return lambda row: figure(row.processor_seconds.get(group), 1)


COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("good/s", lambda row: figure(row.goodput, 1)),
    ("p50 ms", lambda row: figure(row.p50_ms)),
    ("p99 ms", lambda row: figure(row.p99_ms)),
    ("53300", lambda row: figure(row.refused)),
    ("in log", lambda row: figure(row.refused_logins)),
    ("failed", lambda row: figure(sum(row.failures.values()))),
    ("open", lambda row: figure(row.unanswered)),
    ("backends", lambda row: figure(row.peak)),
    ("over", lambda row: figure(row.over)),
    ("CPU app", used("application")),
    ("Postgres", used("postgres")),
    ("pooler", used("pooler")),
    ("operator", used("operator")),
    ("out s", lambda row: figure(row.scaled_out_s, 1)),
    ("roll s", lambda row: figure(row.rolled_out_s, 1)),
)


def tables(arms: Sequence[Arm], loads: Sequence[Load], rows: Sequence[Row]) -> str:
    """Return a table for each load, the arms side by side."""
    titles = {arm.name: arm.title for arm in arms}
    blocks = []
    for load in loads:
        of_load = [row for row in rows if row.load == load.name]
        cells = [("", *(title for title, _ in COLUMNS))]
        cells += [(titles[row.arm], *(show(row) for _, show in COLUMNS)) for row in of_load]
        blocks.append(f"{load.title}: {load.clients} clients, at most {load.rate}/s\n{aligned(cells)}")
    return "\n\n".join(blocks)


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """Return rows of cells with columns of even width, the first one to the left."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]) for first, *rest in cells)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A figure of which less is better (goodput: less is worse, so it comes negated), and how much more is a loss.

    More by `share` of the better one and by `least` besides: below that it may be noise.
    """

    title: str
    value: Callable[[Row], float]
    share: float
    least: float


MISSING = float("inf")


def ended(value: float | None) -> float:
    """Return the figure; of what never came to an end it is worse than any other."""
    return MISSING if value is None else value


CRITERIA = (
    Criterion("answers per second", lambda row: -row.goodput, 0.05, 0.5),
    Criterion("p50 in ms", lambda row: ended(row.p50_ms), 0.2, 5),
    Criterion("p99 in ms", lambda row: ended(row.p99_ms), 0.2, 20),
    Criterion("requests refused", lambda row: row.refused, 0, 0),
    Criterion("requests failed", lambda row: sum(row.failures.values()), 0, 1),
    Criterion("samples above usable", lambda row: row.over, 0, 0),
    Criterion("processor seconds", lambda row: row.processors, 0.1, 1),
    Criterion("seconds until scaled out", lambda row: ended(row.scaled_out_s), 0.2, 1),
    Criterion("seconds until rolled out", lambda row: ended(row.rolled_out_s), 0.2, 1),
)


def losses(rows: Sequence[Row]) -> list[str]:
    """Return where an arm of ours is behind the best of its peers, under the same load, by more than noise."""
    return [
        f"{mine.load}: {mine.arm} {said(criterion, mine)}, {best.arm} {abs(criterion.value(best)):.1f}"
        for mine in rows
        if mine.ours
        for criterion in CRITERIA
        for best in best_of(criterion, [row for row in rows if row.load == mine.load and not row.ours])
        if is_behind(criterion, mine, best)
    ]


def said(criterion: Criterion, row: Row) -> str:
    """Return the figure with its title; there is none of what never came to an end."""
    value = abs(criterion.value(row))
    return f"did not finish: {criterion.title}" if value == MISSING else f"has {value:.1f} {criterion.title}"


def best_of(criterion: Criterion, rows: Iterable[Row]) -> list[Row]:
    """Return the best row, if there is any."""
    return sorted(rows, key=criterion.value)[:1]


def is_behind(criterion: Criterion, mine: Row, best: Row) -> bool:
    """Whether the figure of ours is worse than the best by more than noise."""
    value, other = criterion.value(mine), criterion.value(best)
    return value - other > max(criterion.least, criterion.share * abs(other))


def line(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what is printed as JSON."""
    return {"modes": {"rows": [asdict(row) for row in rows], "losses": losses(rows)}}
