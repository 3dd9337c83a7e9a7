"""What the spec of a container says of its number of processes; where it says nothing: `test_detection_unknown`."""

import pytest

from poolbudget.detection.podspec import Container, Variable
from poolbudget.detection.processes import Processes, detect
from tests.unit.detection_cases import Case, container

ALL_VARIABLES: dict[str, str | None] = {"WEB_CONCURRENCY": "3", "UVICORN_WORKERS": "2"}

PRECEDENCE = [
    Case("uvicorn: one process by default", "uvicorn app:app", 1),
    Case("uvicorn: the flag beats both variables", "uvicorn app:app --workers 4", 4, ALL_VARIABLES),
    Case("uvicorn: UVICORN_WORKERS beats WEB_CONCURRENCY", "uvicorn app:app", 2, ALL_VARIABLES),
    Case("uvicorn: WEB_CONCURRENCY beats the default", "uvicorn app:app", 3, {"WEB_CONCURRENCY": "3"}),
    Case("uvicorn: reloading means one process", "uvicorn app:app --workers 3 --reload", 1),
    Case("uvicorn: a reload directory is not the switch", "uvicorn app:app --reload-dir src --workers 3", 3),
    Case(
        "uvicorn: the environment file does not beat a variable",
        "uvicorn a:a --env-file .env",
        3,
        ALL_VARIABLES | {"UVICORN_WORKERS": "3"},
    ),
    Case("fastapi run: one process by default", "fastapi run", 1),
    Case("fastapi run: the flag beats the variable", "fastapi run main.py --workers 2", 2, ALL_VARIABLES),
    Case("fastapi run: WEB_CONCURRENCY is read, UVICORN_WORKERS is not", "fastapi run main.py", 3, ALL_VARIABLES),
    Case("fastapi dev: one process", "fastapi dev main.py", 1, ALL_VARIABLES),
    Case("gunicorn: one process by default", "gunicorn app:app", 1),
    Case("gunicorn: the flag beats GUNICORN_CMD_ARGS", "gunicorn app:app -w 2", 2, {"GUNICORN_CMD_ARGS": "-w 4"}),
    Case(
        "gunicorn: GUNICORN_CMD_ARGS beats WEB_CONCURRENCY",
        "gunicorn a:a",
        4,
        {"GUNICORN_CMD_ARGS": "-w 4", **ALL_VARIABLES},
    ),
    Case(
        "gunicorn: GUNICORN_CMD_ARGS beats the file", "gunicorn -c conf.py a:a", 4, {"GUNICORN_CMD_ARGS": "--workers=4"}
    ),
    Case(
        "gunicorn: GUNICORN_CMD_ARGS without workers decides nothing",
        "gunicorn a:a",
        3,
        {"GUNICORN_CMD_ARGS": "--threads 8", **ALL_VARIABLES},
    ),
    Case("gunicorn: the flag beats the file", "gunicorn -c conf.py -w 2 a:a", 2),
    Case("gunicorn: WEB_CONCURRENCY beats the default", "gunicorn a:a", 3, ALL_VARIABLES),
    Case("gunicorn: threads do not multiply pools", "gunicorn --threads 8 -w 2 a:a", 2),
    Case("gunicorn: the parent of --preload is no worker", "gunicorn --preload -w 2 a:a", 2),
    Case("hypercorn: one process by default, WEB_CONCURRENCY is ignored", "hypercorn app:app", 1, ALL_VARIABLES),
    Case("hypercorn: the flag beats its file", "hypercorn -c h.toml -w 2 app:app", 2),
    Case("granian: one process by default, WEB_CONCURRENCY is ignored", "granian app:app", 1, ALL_VARIABLES),
    Case("granian: GRANIAN_WORKERS beats the default", "granian app:app", 2, {"GRANIAN_WORKERS": "2"}),
    Case("granian: the flag beats the variable", "granian app:app --workers 3", 3, {"GRANIAN_WORKERS": "2"}),
    Case("celery: -c children", "celery -A proj worker -c 8", 8, prefork=True),
    Case(
        "celery: --concurrency beats the variable",
        "celery -A p worker --concurrency=4",
        4,
        {"CELERY_WORKER_CONCURRENCY": "9"},
        prefork=True,
    ),
    Case(
        "celery: CELERY_WORKER_CONCURRENCY", "celery -A p worker", 9, {"CELERY_WORKER_CONCURRENCY": "9"}, prefork=True
    ),
    Case(
        "celery: autoscale grows to the larger number, whatever -c says",
        "celery -A p worker -c 2 --autoscale 3,10",
        10,
        prefork=True,
    ),
    Case("celery: threads share one process", "celery -A p worker -P threads -c 100", 1),
    Case("celery: gevent shares one process", "celery -A p worker --pool=gevent -c 100", 1),
    Case("celery: solo is one process", "celery -A p worker -P solo", 1),
    Case("celery: prefork named explicitly", "celery -A p worker -P prefork -c 3", 3, prefork=True),
    Case("celery: an app that is called worker", "celery -A worker beat", 1),
    Case("celery: a cluster of short options", "celery -A p worker -Ec 3", 3, prefork=True),
    Case("dramatiq: --processes", "dramatiq tasks --processes 3 --threads 16", 3),
    Case("dramatiq: -p", "dramatiq tasks -p3", 3),
    Case("rq worker: one", "rq worker high low", 1, prefork=True),
    Case("rq worker-pool: one by default", "rq worker-pool", 1, prefork=True),
    Case("rq worker-pool: -n", "rq worker-pool -n 5", 5, prefork=True),
    Case("arq: one", "arq tasks.Settings", 1),
    Case("uwsgi: one by default", "uwsgi --http :8000 --module app", 1),
    Case("uwsgi: the flag beats UWSGI_PROCESSES", "uwsgi --module app -p 3", 3, {"UWSGI_PROCESSES": "2"}),
    Case("uwsgi: UWSGI_PROCESSES", "uwsgi --module app", 2, {"UWSGI_PROCESSES": "2"}),
    Case("uwsgi: UWSGI_WORKERS", "uwsgi --module app", 2, {"UWSGI_WORKERS": "2"}),
]

APPLICATIONS = [
    Case("airflow: one worker by default", "airflow api-server", 1, ALL_VARIABLES),
    Case("airflow: the variable", "airflow api-server --proxy-headers", 4, {"AIRFLOW__API__WORKERS": "4"}),
    Case("airflow: the flag beats the variable", "airflow api-server -w 2", 2, {"AIRFLOW__API__WORKERS": "4"}),
    Case(
        "dagster-webserver: one, whatever uvicorn would read", "dagster-webserver -w workspace.yaml", 1, ALL_VARIABLES
    ),
    Case("langflow: one by default", "langflow run --host 0.0.0.0", 1, ALL_VARIABLES),
    Case("langflow: the variable", "python -m langflow run", 3, {"LANGFLOW_WORKERS": "3"}),
    Case(
        "langflow: the flag beats variable and file",
        "langflow run --workers 2 --env-file .env",
        2,
        {"LANGFLOW_WORKERS": "3"},
    ),
    Case("letta: one by default", "letta server --port 8283", 1, ALL_VARIABLES),
    Case("letta: the variable", "letta server", 5, {"LETTA_UVICORN_WORKERS": "5"}),
    Case("litellm: one by default", "litellm --config /app/config.yaml", 1, ALL_VARIABLES),
    Case(
        "litellm: NUM_WORKERS", "litellm --port 4000", 8, {"NUM_WORKERS": "8", "DEFAULT_NUM_WORKERS_LITELLM_PROXY": "2"}
    ),
    Case("litellm: its default's variable", "litellm", 2, {"DEFAULT_NUM_WORKERS_LITELLM_PROXY": "2"}),
    Case("litellm: the flag beats the variables", "litellm --num_workers 4", 4, {"NUM_WORKERS": "8"}),
    Case(
        "mlflow: four workers and the parent by default, WEB_CONCURRENCY is ignored", "mlflow server", 5, ALL_VARIABLES
    ),
    Case("mlflow: MLFLOW_WORKERS and the parent", "mlflow --env-file .env server", 3, {"MLFLOW_WORKERS": "2"}),
    Case("mlflow: the flag beats the variable", "mlflow server -w 1 --host 0.0.0.0", 2, {"MLFLOW_WORKERS": "2"}),
    Case("open-webui: one by default, WEB_CONCURRENCY is ignored", "open-webui serve", 1, {"WEB_CONCURRENCY": "3"}),
    Case("open-webui: UVICORN_WORKERS", "open-webui serve --port 8080", 2, ALL_VARIABLES),
    Case("prefect: one by default, no variable is read", "prefect server start --host 0.0.0.0", 1, ALL_VARIABLES),
    Case("prefect: the flag", "prefect --profile prod server start --workers 4", 4),
]

SPELLINGS = [
    Case("-w N", "gunicorn a:a -w 3", 3),
    Case("-wN", "gunicorn a:a -w3", 3),
    Case("-w=N", "gunicorn a:a -w=3", 3),
    Case("a cluster -RwN", "gunicorn a:a -Rw3", 3),
    Case("--workers N", "gunicorn a:a --workers 3", 3),
    Case("--workers=N", "gunicorn a:a --workers=3", 3),
    Case("an abbreviation that argparse accepts", "dramatiq tasks --proc 3", 3),
    Case("the last flag wins", "gunicorn a:a -w 2 --workers=5 -w 3", 3),
    Case("the worker class is no number of workers", "gunicorn -k uvicorn.workers.UvicornWorker -w 3 a:a", 3),
    Case("--worker-connections is another option", "gunicorn --worker-connections 500 a:a", 1),
    Case("what follows -- is no option", "hypercorn -w 2 -- app:app -w 5", 2),
]

WRAPPED = [
    Case("an absolute path", "/app/.venv/bin/uvicorn app:app --workers 3", 3),
    Case("python -m", "python -m uvicorn app:app --workers 3", 3),
    Case("python3.13 -u -X dev -m", "/usr/bin/python3.13 -u -X dev -m gunicorn a:a -w 3", 3),
    Case("python with the path of the program", "python /usr/local/bin/gunicorn a:a -w 3", 3),
    Case("tini --", "tini -g -- uvicorn app:app --workers 3", 3),
    Case("tini without --", "/usr/bin/tini uvicorn app:app", 1),
    Case("dumb-init", "dumb-init --rewrite 15:3 -- gunicorn a:a -w 3", 3),
    Case("env with assignments", "env WEB_CONCURRENCY=3 PYTHONPATH=/app uvicorn app:app", 3, {"WEB_CONCURRENCY": "9"}),
    Case("nice", "nice -n 5 uvicorn app:app --workers 3", 3),
    Case("nice with an attached value", "nice -n5 uvicorn app:app --workers 3", 3),
    Case("ddtrace-run", "ddtrace-run gunicorn a:a -w 3", 3),
    Case("opentelemetry-instrument", "opentelemetry-instrument --traces_exporter otlp uvicorn app:app --workers 3", 3),
    Case("newrelic-admin", "newrelic-admin run-program gunicorn a:a -w 3", 3),
    Case("poetry run", "poetry run uvicorn app:app --workers 3", 3),
    Case("pdm run", "pdm run uvicorn app:app --workers 3", 3),
    Case("uv run", "uv run --frozen --package api fastapi run --workers 3", 3),
    Case("gosu", "gosu app uvicorn app:app --workers 3", 3),
    Case("wrappers without end", ["env"] * 5000 + ["uvicorn", "app:app"], 1),
    Case("layer over layer", "tini -- env A=B ddtrace-run python -m gunicorn a:a -w 3", 3),
    Case("sh -c with exec", ["sh", "-c", "exec uvicorn app:app --workers 3"], 3),
    Case("sh -c without exec", ["/bin/sh", "-c", "uvicorn 'app:app' --workers \"3\""], 3),
    Case("bash -ec", ["bash", "-ec", "exec gunicorn a:a -w 3"], 3),
    Case("a continued line", ["sh", "-c", "exec uvicorn app:app \\\n  --workers 3\n"], 3),
    Case("a line continued within a number", ["sh", "-c", "exec uvicorn app:app --workers 1\\\n2"], 12),
    Case("an assignment in the shell", ["sh", "-c", "WEB_CONCURRENCY=3 exec uvicorn app:app"], 3),
    Case("a literal variable in the shell", ["sh", "-c", "exec uvicorn app:app --workers $N"], 3, {"N": "3"}),
    Case("a literal variable in braces", ["sh", "-c", 'exec uvicorn app:app --workers "${N}"'], 3, {"N": "3"}),
    Case("a shell within a wrapper", ["tini", "--", "sh", "-c", "exec uvicorn app:app --workers 3"], 3),
]

EXPANDED = [
    Case("$(N) of a literal variable", ["uvicorn", "app:app", "--workers", "$(N)"], 3, {"N": "3"}),
    Case("--workers=$(N)", ["uvicorn", "app:app", "--workers=$(N)"], 3, {"N": "3"}),
    Case("a variable that refers to an earlier one", "uvicorn app:app", 3, {"N": "3", "WEB_CONCURRENCY": "$(N)"}),
    Case("a port that is not read does not matter", ["uvicorn", "a:a", "--port", "$(PORT)"], 1, {"PORT": None}),
    Case("nor does one after =", ["uvicorn", "a:a", "--port=$(PORT)", "--workers", "3"], 3, env_from=True),
    Case("an unread argument before the flag cannot win", ["uvicorn", "$(APP)", "--workers", "3"], 3, {"APP": None}),
    Case("$(N) in the text of a shell", ["sh", "-c", "exec uvicorn app:app --workers $(N)"], 3, {"N": "3"}),
    Case("the flag settles it beside envFrom", "uvicorn app:app --workers 3", 3, env_from=True),
    Case("a literal variable beats envFrom", "fastapi run", 3, {"WEB_CONCURRENCY": "3"}, env_from=True),
    Case("a variable that the server ignores does not matter", "fastapi run", 1, {"UVICORN_WORKERS": None}),
]


@pytest.mark.parametrize(
    "case", [*PRECEDENCE, *APPLICATIONS, *SPELLINGS, *WRAPPED, *EXPANDED], ids=lambda case: case.sentence
)
def test_the_spec_shows_the_count(case: Case) -> None:
    found = detect([container(case)])
    assert isinstance(found, Processes), found
    assert (found.count, found.prefork) == (case.count, case.prefork)


def test_the_source_says_where_the_count_stands() -> None:
    command = ("uvicorn", "app:app")
    env = (Variable("WEB_CONCURRENCY", "3"),)
    found = detect([Container("api", command=command, env=env), Container("side", command=command)])
    assert found == Processes(4, "container api: WEB_CONCURRENCY; container side: default of uvicorn")


def test_children_beside_a_server_are_not_only_prefork_children() -> None:
    worker = Container("worker", command=("celery", "worker", "-c", "3"))
    assert detect([worker, worker]) == Processes(
        6, "container worker: --concurrency; container worker: --concurrency", prefork=True
    )
    mixed = detect([worker, Container("api", command=("uvicorn", "a:a"))])
    assert isinstance(mixed, Processes)
    assert (mixed.count, mixed.prefork) == (4, False)


def test_the_last_entry_of_a_name_counts() -> None:
    env = (Variable("WEB_CONCURRENCY", "2"), Variable("WEB_CONCURRENCY", "5"))
    found = detect([Container("api", command=("uvicorn", "a:a"), env=env)])
    assert isinstance(found, Processes)
    assert found.count == 5
