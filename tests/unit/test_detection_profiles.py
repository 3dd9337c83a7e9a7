"""The catalogue of applications: what a workload gets by its profile, and the command that prints it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic import TypeAdapter, ValidationError

from poolbudget.api.v1alpha1 import SettingName, Workload, WorkloadMode
from poolbudget.cli.profiles import fragment, profiles
from poolbudget.detection.podspec import parse_pod_spec
from poolbudget.detection.profiles import Profile, Status, catalogue
from poolbudget.planning.model import BudgetKey, Target, TargetKey, WorkloadPlan
from poolbudget.planning.profiles import floor, process_pools
from poolbudget.planning.settings import setting_values
from tests.unit.planning_inputs import NAMESPACE, budget, plan, planned, workload

CATALOGUE = catalogue()
REQUIRED = {"LETTA_DISABLE_SQLALCHEMY_POOLING": "false", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def values(profile: str, share: int, **fields: Any) -> dict[str, str]:
    one = workload(**{"env": {"profile": profile}, **fields})
    spec = budget({"name": "api"}).spec
    return setting_values(BudgetKey(NAMESPACE, "orders"), spec, one, process_pools(one, share), WorkloadMode.DIRECT)


def planned_with(profile: str, env: dict[str, str] | None = None, **fields: Any) -> WorkloadPlan:
    declared = {"name": "api", "processes": 2, "env": {"profile": profile}, **fields}
    container = {"name": "app", "env": [{"name": n, "value": v} for n, v in (REQUIRED if env is None else env).items()]}
    key = TargetKey("Deployment", NAMESPACE, "api")
    target = Target(key, 1, 1, surges=False, template=parse_pod_spec({"spec": {"containers": [container]}}))
    return planned(plan(budget(declared), (key, target)))


def test_two_equal_pools_share_what_a_process_has() -> None:
    assert values("open-webui", 9, pool={"maxOverflow": 1, "timeoutMilliseconds": 1_500}) == {
        "DATABASE_POOL_SIZE": "3",
        "DATABASE_POOL_MAX_OVERFLOW": "1",
        "DATABASE_POOL_TIMEOUT": "2",
        "DATABASE_POOL_RECYCLE": "1800",
    }


def test_an_overflow_of_zero_that_would_be_ignored_is_taken_from_the_share() -> None:
    assert values("mlflow", 12) == {
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "3",
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "1",
        "MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE": "1800",
    }


def test_names_of_the_workload_replace_and_add_to_those_of_the_profile() -> None:
    names = {"poolSize": "MY_SIZE", "applicationName": "PGAPPNAME"}
    assert values("argilla", 8, env={"profile": "argilla", "names": names}) == {
        "MY_SIZE": "4",
        "ARGILLA_DATABASE_POSTGRESQL_MAX_OVERFLOW": "0",
        "PGAPPNAME": "shop/api",
    }


def test_the_plan_counts_pools_and_connections_beside_them() -> None:
    airflow = planned_with("airflow", maxPerProcess=9)
    assert (airflow.share, airflow.per_pod, airflow.floor) == (8, 2 * 8 + 1, 4)
    assert [(pool.size, pool.overflow) for pool in airflow.pools] == [(4, 0)]
    assert (
        airflow.message == "each of 2 processes of a pod gets 8 connections in 2 equal pools, limited by maxPerProcess"
    )


@pytest.mark.parametrize("application", CATALOGUE)
def test_every_application_can_be_planned(application: str) -> None:
    result = planned_with(application)
    assert result.reason == "FitsDirectly"
    (pool,) = result.pools
    assert CATALOGUE[application].pools * (pool.size + pool.overflow) == result.share


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "a typing error": ({"profile": "airflwo"}, "env.profile airflwo is not known: did you mean airflow?"),
    "another application": ({"profile": "zope"}, "env.profile zope is not known: write Default or one of airflow"),
    "pools of its own": (
        {"profile": "airflow", "pools": [{"name": "read"}, {"name": "write"}]},
        "the pools of airflow are its own: remove `pools`",
    ),
    "a route that it cannot take": (
        {"profile": "airflow", "route": "Env"},
        "airflow has no variables for host and port: remove `route`",
    ),
    "too little for its pools": (
        {"profile": "mlflow", "maxPerProcess": 5},
        "mlflow needs 6 connections a process: raise `maxPerProcess`",
    ),
    "a variable that is missing": (
        {"profile": "letta", "env": {}},
        'letta needs LETTA_DISABLE_SQLALCHEMY_POOLING: set it to "false" in the env of container app',
    ),
    "a variable of another value": (
        {"profile": "letta", "env": {"LETTA_DISABLE_SQLALCHEMY_POOLING": "true"}},
        "letta needs LETTA_DISABLE_SQLALCHEMY_POOLING",
    ),
}


@pytest.mark.parametrize(("fields", "message"), MISFITS.values(), ids=MISFITS.keys())
def test_a_profile_that_cannot_be_honoured_says_what_to_write(fields: dict[str, Any], message: str) -> None:
    result = planned_with(**fields)
    assert (result.fits, result.reason, result.share) == (False, "InvalidProfile", 0)
    assert result.message.startswith(message)


@pytest.mark.parametrize("application", CATALOGUE)
def test_the_lines_of_an_application_are_those_of_a_workload(application: str) -> None:
    fields = yaml.safe_load(fragment(application, CATALOGUE[application]))
    one = TypeAdapter(Workload).validate_python({"name": "app", **fields})
    assert one.env.profile == application


@pytest.mark.parametrize("application", CATALOGUE)
def test_an_application_says_how_many_connections_it_may_open(application: str) -> None:
    assert {SettingName.POOL_SIZE, SettingName.MAX_OVERFLOW} <= set(CATALOGUE[application].names)


def test_applications_stand_in_order() -> None:
    assert list(CATALOGUE) == sorted(CATALOGUE)


def test_the_lines_tell_all_that_a_user_must_know() -> None:
    profile = Profile(
        version="1.2",
        status=Status.EXECUTED,
        pools=2,
        names={SettingName.POOL_SIZE: "SIZE"},
        requires={"JOBS": "false"},
        processes="--workers",
        remarks=("Mind the gap.",),
    )
    assert fragment("shop", profile) == (
        "# shop 1.2, checked: Executed.\n"
        "# Processes of a pod: --workers.\n"
        "# Each opens 2 equal pools, among which its share is divided.\n"
        '# The pod template must set JOBS to "false".\n'
        "# Mind the gap.\n"
        "env:\n"
        "  profile: shop\n"
    )


def test_a_setting_that_does_not_exist_is_refused() -> None:
    row = {"version": "1", "status": "Executed", "pools": 1, "names": {"size": "S"}, "processes": ""}
    with pytest.raises(ValidationError):
        Profile.model_validate(row)


def test_the_command_lists_every_application() -> None:
    result = CliRunner().invoke(profiles)
    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()] == [
        [name, profile.version, str(profile.status)] for name, profile in CATALOGUE.items()
    ]


def test_the_command_prints_one_application() -> None:
    result = CliRunner().invoke(profiles, ["airflow"])
    assert (result.exit_code, result.output) == (0, fragment("airflow", CATALOGUE["airflow"]))


def test_the_command_names_what_it_knows() -> None:
    result = CliRunner().invoke(profiles, ["airflwo"])
    assert result.exit_code == 2
    assert "write one of airflow, argilla" in result.output


def test_the_page_lists_what_the_catalogue_has() -> None:
    page = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")][1:]
    assert [(row[0], row[1], row[3], row[4]) for row in rows] == [
        (name, profile.version, str(profile.pools), str(floor(profile))) for name, profile in CATALOGUE.items()
    ]
