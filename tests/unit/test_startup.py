"""Settings that a container sends while it connects."""

from typing import Any

import pytest

from poolbudget.detection.podspec import parse_pod_spec
from poolbudget.detection.startup import refused_settings

URL = "postgresql+psycopg://shop:secret@db:5432/orders"


@pytest.mark.parametrize(
    ("env", "found"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"PGOPTIONS": "-c jit=off"}, {"PGOPTIONS": ["jit"]}, id="a setting"),
        pytest.param(
            {"PGOPTIONS": "-cjit=off --lock-timeout=2s -c  statement_timeout=5s"},
            {"PGOPTIONS": ["jit", "lock_timeout", "statement_timeout"]},
            id="in all that libpq takes",
        ),
        pytest.param({"PGOPTIONS": "-c TimeZone=UTC -c application_name=x"}, {}, id="what PgBouncer keeps"),
        pytest.param({"PGOPTIONS": "-c extra_float_digits=3"}, {}, id="what the pooler ignores"),
        pytest.param({"OPTIONS": "-c jit=off"}, {}, id="a variable of another name"),
        pytest.param({"URL": f"{URL}?sslmode=require"}, {}, id="a URL without options"),
        pytest.param(
            {"URL": f"{URL}?sslmode=require&options=-c%20search_path%3Dshop"}, {"URL": ["search_path"]}, id="of a URL"
        ),
        pytest.param({"URL": f"{URL}?options=-csearch_path%3Dshop"}, {"URL": ["search_path"]}, id="without a space"),
        pytest.param({"URL": "postgres://[db?options=-cjit%3Doff"}, {}, id="what is no URL"),
        pytest.param({"URL": "https://db?options=-cjit%3Doff"}, {}, id="a URL of something else"),
        pytest.param(
            {"WORK_MEM": "64MB", "PGOPTIONS": "-c work_mem=$(WORK_MEM)"}, {"PGOPTIONS": ["work_mem"]}, id="composed"
        ),
        pytest.param({"PGOPTIONS": {"configMapKeyRef": {"name": "db", "key": "options"}}}, {}, id="not to be read"),
    ],
)
def test_what_a_pooler_refuses(env: dict[str, Any], found: dict[str, list[str]]) -> None:
    entries = [{"name": n, **({"value": v} if isinstance(v, str) else {"valueFrom": v})} for n, v in env.items()]
    container = parse_pod_spec({"spec": {"containers": [{"name": "app", "env": entries}]}}).containers[0]
    assert refused_settings(container) == found
