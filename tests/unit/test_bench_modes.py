"""The bench of modes compares what it says: its arms share one server fairly, and its figures are added up right."""

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from poolbudget.api.v1alpha1 import PoolBudgetSpec
from tests.bench.modes import scene
from tests.bench.modes.arms import ARMS, LOADS, MANY_PODS, SURGE_PODS, USABLE
from tests.bench.modes.outcome import Row, losses, row, tables
from tests.bench.modes.processors import Processors, group_of, parse

ROOT = Path(__file__).resolve().parents[2]
UID = "0f4b3f6e-9d0c-4f7e-8a41-3d0e6a1b2c3d"
BY_NAME = {arm.name: arm for arm in ARMS}


def test_the_division_by_hand_is_the_largest_that_holds_for_the_peak() -> None:
    size, peak = int(BY_NAME["static"].env["DB_POOL_SIZE"]), MANY_PODS + SURGE_PODS
    assert size * peak <= USABLE < (size + 1) * peak


def test_the_pgbouncers_may_open_all_that_is_usable_and_no_more() -> None:
    manifests = {manifest["kind"]: manifest for manifest in scene.PGBOUNCERS}
    settings = manifests["Secret"]["stringData"]["pgbouncer.ini"]
    (most,) = [int(line.split("=")[1]) for line in settings.splitlines() if line.startswith("max_db_connections")]
    assert most * manifests["Deployment"]["spec"]["replicas"] == USABLE
    assert f"orders-db.{scene.NAMESPACE}.svc" in settings


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm.budget is not None], ids=lambda arm: arm.name)
def test_the_budgets_of_the_arms_are_valid_and_of_the_same_server(arm: Any) -> None:
    spec = PoolBudgetSpec.model_validate({**scene.SERVER, **arm.budget})
    assert spec.max_connections - spec.reserved_connections == USABLE


def test_only_pods_of_our_arms_are_labelled_and_each_has_what_its_arm_sets() -> None:
    documents = yaml.safe_load_all((ROOT / "examples/demo/base/api.yaml").read_text())
    like = next(manifest for manifest in documents if manifest["kind"] == "Deployment")
    for arm in ARMS:
        template = scene.deployment(like, arm)["spec"]["template"]
        assert ("poolbudget.dev/budget" in template["metadata"]["labels"]) == arm.is_ours
        env = {entry["name"]: entry.get("value") for entry in template["spec"]["containers"][0]["env"]}
        assert arm.env.items() <= env.items()
        assert ("DB_HOST" in env) == ("DB_HOST" in arm.env)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"/sys/fs/cgroup/cpu/kubelet/kubepods/burstable/pod{UID} 2500000000 ns", (UID, 2.5)),
        (f"/sys/fs/cgroup/kubelet-kubepods-pod{UID.replace('-', '_')}.slice 2500000 us", (UID, 2.5)),
        ("/sys/fs/cgroup/kubelet.slice/kubelet-kubepods-besteffort.slice 9 us", None),
        ("/sys/fs/cgroup/cpu/kubelet/kubepods/pod2f1c4ac0e9d54bb5ac7b8ff8a3a0a5f1 9 ns", None),
    ],
    ids=["cgroup v1", "cgroup v2 by systemd", "a group of pods", "a static pod"],
)
def test_processor_time_is_read_of_pods_only(line: str, found: tuple[str, float] | None) -> None:
    assert parse(line) == found


def pod(name: str, namespace: str = "bench", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}}


@pytest.mark.parametrize(
    ("of", "group"),
    [
        (pod("api-1", app="api"), "application"),
        (pod("orders-db-0", app="orders-db"), "postgres"),
        (pod("pgbouncer-1", app="pgbouncer"), "pooler"),
        (pod("orders-pooler-0", **{"poolbudget.dev/pooler": "orders"}), "pooler"),
        (pod("generator"), "generator"),
        (pod("poolbudget-operator-1", "poolbudget-system"), "operator"),
        (pod("coredns-1", "kube-system"), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else value["metadata"]["name"],
)
def test_a_pod_counts_as(of: dict[str, Any], group: str) -> None:
    assert group_of(of, "bench") == group


def test_pods_that_came_and_went_in_between_are_counted_and_others_only_by_the_difference() -> None:
    kube: Any = None
    groups = {"old": "application", "ended": "application", "db": "postgres", "dns": "", "before": "pooler"}
    processors = Processors(kube, "bench", {"old": 5.0, "ended": 1.25, "db": 7.5, "dns": 3.0, "before": 2.0}, groups)
    assert processors.since({"old": 4.0, "db": 7.0, "dns": 1.0, "before": 2.0}) == {
        "application": 2.25,
        "postgres": 0.5,
    }


SENT = {"seconds": 20.0, "ok": 1900, "unanswered": 3, "p50_ms": 9.0, "p99_ms": 40.0, "late_p99_ms": 1.0}
SEEN = {"peak_by_role": {"shop": 36, "postgres": 1}, "over_usable": 0, "samples": 900}
EVENTS = {"scaled_out_s": 9.0, "rolled_out_s": 8.0}


def made(arm: str, *, failures: dict[str, int] | None = None, cpu: float = 4.0, **sent: Any) -> Row:
    return row(
        BY_NAME[arm],
        LOADS[0],
        sent=SENT | {"failures": failures or {}} | {key: value for key, value in sent.items() if key in SENT},
        seen=SEEN,
        refused_logins=0,
        processor_seconds={"application": cpu, "postgres": 1.0, "generator": 90.0},
        events=EVENTS | {key: value for key, value in sent.items() if key in EVENTS},
    )


def test_a_row_says_what_was_seen() -> None:
    got = made("direct", failures={"too_many_clients": 4, "TimeoutError": 1})
    assert (got.goodput, got.refused, got.peak, got.processors, got.ours) == (95.0, 4, 36, 5.0, True)
    assert not made("static").ours


@pytest.mark.parametrize(
    ("mine", "loss"),
    [
        ({"ok": 1700}, ["crud: direct has 85.0 answers per second, static 95.0"]),
        ({"p99_ms": 90.0}, ["crud: direct has 90.0 p99 in ms, static 40.0"]),
        ({"failures": {"too_many_clients": 1}}, ["crud: direct has 1.0 requests refused, static 0.0"]),
        ({"cpu": 6.5}, ["crud: direct has 7.5 processor seconds, static 5.0"]),
        ({"rolled_out_s": None}, ["crud: direct did not finish: seconds until rolled out, static 8.0"]),
        ({"ok": 1890, "p99_ms": 59.0, "cpu": 4.9, "scaled_out_s": 9.9}, []),
        ({"ok": 2000, "p50_ms": 1.0, "cpu": 1.0}, []),
    ],
    ids=["goodput", "p99", "a refusal", "processors", "an event without end", "noise", "better"],
)
def test_poolbudget_loses_where_a_peer_is_better_by_more_than_noise(mine: dict[str, Any], loss: list[str]) -> None:
    assert losses([made("static"), made("pgbouncers", p99_ms=400.0, cpu=50.0, ok=100), made("direct", **mine)]) == loss


def test_each_load_has_a_table_with_its_arms_in_their_order() -> None:
    text = tables(ARMS, LOADS[:1], [made(arm.name) for arm in ARMS])
    title, _, *lines = text.splitlines()
    assert title == "5 ms CRUD: 40 clients, at most 100/s"
    assert [line.split("  ")[0] for line in lines] == [arm.title for arm in ARMS]
    assert len({len(line) for line in lines}) == 1


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module as it runs in its pod: beside the example's `load.py`."""
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "fastapi-sqlalchemy"))
    spec = importlib.util.spec_from_file_location("generator", ROOT / "tests/bench/modes/generator.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["load"]


@pytest.mark.parametrize(
    ("together", "ended", "next_at"),
    [(False, 0.4, 12.0), (False, 3.5, 13.5), (True, 0.4, 12.0), (True, 3.5, 14.0), (True, 4.0, 14.0)],
    ids=["in time", "late", "together, in time", "together, late", "together, at the next instant"],
)
def test_a_client_goes_on(generator: ModuleType, together: bool, ended: float, next_at: float) -> None:
    load = generator.Load("", clients=20, rate=10, together=together)
    assert load.after(10.0, 10.0 + ended) == next_at


async def test_the_generator_keeps_its_rate_and_counts_what_was_never_answered(generator: ModuleType) -> None:
    """One client is answered at once, the other one never; both begin together, and at most 20 a second."""
    begun: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        begun.append(writer)
        if len(begun) > 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
            writer.close()
        if len(begun) == 5:
            stop.set()

    stop = asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        line = await generator.Load(f"http://127.0.0.1:{port}/", clients=2, rate=20, together=True).run(stop)
        begun[0].close()
    assert line["unanswered"] >= 1
    assert 3 <= line["ok"] <= 4
    assert line["seconds"] >= 3 * 2 / 20
    assert line["p99_ms"] >= 3 * 2 / 20 * 1000 - 50
    assert line["failures"] == {}
