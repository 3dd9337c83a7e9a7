"""What PgBouncer is told: each line of `pgbouncer.ini` that a rule decides, and limits that come back as written."""

from typing import Any

import pytest

from poolbudget.api.parse import parse_budget
from poolbudget.api.v1alpha1 import PoolBudgetSpec
from poolbudget.pooler.config import Limits, auth_ini, pgbouncer_ini, query_wait_seconds, user_line

DATABASE = {"host": "orders-db.shop.svc", "name": "orders"}


def spec(*, database: dict[str, Any] | None = None, **fields: Any) -> PoolBudgetSpec:
    workloads = fields.pop("workloads", [{"name": "api"}])
    manifest = {
        "apiVersion": "poolbudget.dev/v1alpha1",
        "kind": "PoolBudget",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"maxConnections": 60, "database": DATABASE | (database or {}), "workloads": workloads, **fields},
    }
    return parse_budget(manifest)


def lines(spec: PoolBudgetSpec) -> dict[str, str]:
    text = pgbouncer_ini(spec)
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


@pytest.mark.parametrize(
    ("why", "given", "setting", "value"),
    [
        ("one entry, without a fallback", spec(), "orders", "host='orders-db.shop.svc' port=5432 dbname='orders'"),
        ("a quote ends no value", spec(database={"host": "a'b"}), "orders", "host='a''b' port=5432 dbname='orders'"),
        ("transactions share connections", spec(), "pool_mode", "transaction"),
        ("unless declared", spec(pooler={"poolMode": "session"}), "pool_mode", "session"),
        ("the limit is all there is", spec(), "reserve_pool_size", "0"),
        ("asyncpg's statement caches work", spec(), "max_prepared_statements", "200"),
        ("clients give up later than PgBouncer", spec(), "query_wait_timeout", "20"),
        ("the application's choice of TLS stays", spec(), "client_tls_sslmode", "prefer"),
        (
            "as the operator's own connection",
            spec(database={"tls": {"mode": "Require"}}),
            "server_tls_sslmode",
            "require",
        ),
        ("unless declared", spec(pooler={"tls": {"mode": "Disable"}}), "server_tls_sslmode", "disable"),
    ],
)
def test_the_configuration(why: str, given: PoolBudgetSpec, setting: str, value: str) -> None:
    assert lines(given)[setting] == value, why


def test_a_server_is_verified_by_the_authority_of_the_budget() -> None:
    tls = {"mode": "VerifyFull", "caSecretRef": {"name": "orders-db-ca"}}
    told = lines(spec(database={"tls": tls}))
    assert (told["server_tls_sslmode"], told["server_tls_ca_file"]) == ("verify-full", "/etc/pgbouncer/server-ca.crt")
    assert "server_tls_ca_file" not in lines(spec())


def test_no_socket_is_made_since_the_root_is_read_only() -> None:
    assert "unix_socket_dir =\n" in pgbouncer_ini(spec())


def test_what_is_included_comes_last_and_so_decides() -> None:
    included = ["%include /etc/pgbouncer/limits.ini", "%include /etc/pgbouncer/auth.ini"]
    assert pgbouncer_ini(spec()).splitlines()[-2:] == included


@pytest.mark.parametrize("name", ["my db", "pgbouncer", "a\nb", 'a"b', "*"])
def test_a_database_that_pgbouncer_cannot_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"database\.name .* is none that PgBouncer can have: letters, digits"):
        pgbouncer_ini(spec(database={"name": name}))


@pytest.mark.parametrize("host", ["a\nauth_type = any", " "])
def test_a_host_that_is_more_than_a_line_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"database\.host .* is no host name"):
        pgbouncer_ini(spec(database={"host": host}))


@pytest.mark.parametrize(("timeouts", "seconds"), [([30_000], 20), ([30_000, 900], 1), ([600_000], 120), ([4_500], 3)])
def test_a_transaction_waits_for_two_thirds_of_the_shortest_pool_timeout(timeouts: list[int], seconds: int) -> None:
    workloads = [{"name": f"w{n}", "pool": {"timeoutMilliseconds": timeout}} for n, timeout in enumerate(timeouts)]
    assert query_wait_seconds(spec(workloads=workloads)) == seconds


@pytest.mark.parametrize(
    ("connections", "clients", "expected"),
    [
        (10, 0, {"max_client_conn": 100, "max_db_connections": 10, "default_pool_size": 10}),
        (0, 80, {"max_client_conn": 200, "max_db_connections": 1, "default_pool_size": 1}),
        (25, 1000, {"max_client_conn": 1300, "max_db_connections": 25, "default_pool_size": 25}),
    ],
)
def test_limits_are_never_0_and_leave_a_margin_for_clients(
    connections: int, clients: int, expected: dict[str, int]
) -> None:
    limits = Limits.of(connections, clients)
    assert limits.settings == expected
    assert limits.clients * 100 >= clients * 125
    assert Limits.parse(limits.text) == limits


@pytest.mark.parametrize("text", ["", "max_db_connections = 5\n", Limits(5, 100).text + "pool_mode = session\n"])
def test_limits_that_somebody_else_wrote_are_unknown(text: str) -> None:
    assert Limits.parse(text) is None


def test_secrets_of_users_are_quoted_and_looked_up_by_the_function() -> None:
    assert user_line('a"b', 'c"') == '"a""b" "c"""\n'
    assert "auth_query = SELECT username, secret FROM poolbudget.pooler_auth($1)\n" in auth_ini("lookup")
    assert auth_ini("lookup").endswith("[users]\nlookup = pool_size=2\n")
    assert "[users]" not in auth_ini("look up")
    assert auth_ini(None) == ""
