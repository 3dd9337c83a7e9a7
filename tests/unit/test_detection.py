"""What the spec of a container says about its number of processes."""

import shlex
from dataclasses import dataclass, field

import pytest

from poolbudget.detection.podspec import Container, Variable
from poolbudget.detection.processes import Processes, Unknown, detect


@dataclass(frozen=True)
class Case:
    """A container, and the count that its spec shows."""

    sentence: str
    command: str | list[str]
    count: int
    env: dict[str, str | None] = field(default_factory=dict)
    env_from: bool = False
    prefork: bool = False


@dataclass(frozen=True)
class Hidden:
    """A container whose spec does not show the count, and words of the reason."""

    sentence: str
    command: str | list[str]
    reason: str
    env: dict[str, str | None] = field(default_factory=dict)
    env_from: bool = False


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

HIDDEN = [
    Hidden("no command: the image decides", [], "the image's own"),
    Hidden("WEB_CONCURRENCY from envFrom", "uvicorn app:app", "may be set by envFrom", env_from=True),
    Hidden("GUNICORN_CMD_ARGS from envFrom", "gunicorn app:app", "GUNICORN_CMD_ARGS may be set", env_from=True),
    Hidden(
        "WEB_CONCURRENCY from valueFrom", "uvicorn app:app", "WEB_CONCURRENCY comes from", {"WEB_CONCURRENCY": None}
    ),
    Hidden("a reference to valueFrom", "uvicorn a:a", "WEB_CONCURRENCY comes", {"N": None, "WEB_CONCURRENCY": "$(N)"}),
    Hidden(
        "the flag's value from valueFrom",
        ["uvicorn", "a:a", "--workers", "$(N)"],
        "the value of --workers",
        {"N": None},
    ),
    Hidden(
        "the flag's value from envFrom", ["uvicorn", "a:a", "--workers=$(N)"], "the value of --workers", env_from=True
    ),
    Hidden("a reference to nothing", ["uvicorn", "a:a", "--workers", "$(N)"], "--workers is '$(N)'"),
    Hidden("an escaped reference", ["uvicorn", "a:a", "--workers", "$$(N)"], "--workers is '$(N)'", {"N": "3"}),
    Hidden("an argument that may be a flag", ["uvicorn", "a:a", "$(MORE)"], "the value of --workers", {"MORE": None}),
    Hidden("the program from a variable", ["$(SERVER)", "app:app"], "the program comes from", {"SERVER": None}),
    Hidden("a program within a wrapper from a variable", ["tini", "$(SERVER)"], "the program comes", {"SERVER": None}),
    Hidden("the subcommand from a variable", ["celery", "$(WHAT)", "-c", "3"], "of celery, only", {"WHAT": None}),
    Hidden("zero workers", "uvicorn app:app --workers 0", "--workers is '0'"),
    Hidden("negative workers", "gunicorn a:a -w -2", "--workers is '-2'"),
    Hidden("a word", "uvicorn app:app --workers many", "--workers is 'many'"),
    Hidden("a fraction", "uvicorn app:app --workers 1.5", "--workers is '1.5'"),
    Hidden("nothing after the flag", "uvicorn app:app --workers", "--workers is ''"),
    Hidden("an absurd number", "uvicorn app:app --workers 99999999", "not a whole number from 1 to"),
    Hidden("an empty variable", "uvicorn app:app", "WEB_CONCURRENCY is ''", {"WEB_CONCURRENCY": ""}),
    Hidden("gunicorn's file", "gunicorn -c conf.py a:a", "a configuration file", {"WEB_CONCURRENCY": "3"}),
    Hidden("gunicorn's file, long", "gunicorn --config=python:conf a:a", "a configuration file"),
    Hidden("a file in GUNICORN_CMD_ARGS", "gunicorn a:a", "a configuration file", {"GUNICORN_CMD_ARGS": "-c conf.py"}),
    Hidden("GUNICORN_CMD_ARGS with an open quote", "gunicorn a:a", "cannot be split", {"GUNICORN_CMD_ARGS": "'"}),
    Hidden("hypercorn's file", "hypercorn -c h.toml app:app", "a configuration file"),
    Hidden("uvicorn's environment file", "uvicorn a:a --env-file .env", "an environment file"),
    Hidden(
        "uvicorn's environment file by variable", "uvicorn a:a", "an environment file", {"UVICORN_ENV_FILE": ".env"}
    ),
    Hidden("fastapi dev without reload", "fastapi dev --no-reload", "WEB_CONCURRENCY"),
    Hidden("celery follows the CPUs", "celery -A proj worker", "one process per CPU"),
    Hidden("celery -c 0 follows the CPUs", "celery -A proj worker -c 0", "--concurrency is '0'"),
    Hidden("celery -c auto follows the CPUs", "celery -A proj worker -c auto", "--concurrency is 'auto'"),
    Hidden("celery autoscale by variable", "celery -A p worker -c 2", "AUTOSCALE", {"CELERY_WORKER_AUTOSCALE": "9,1"}),
    Hidden("celery multi", "celery multi start 3", "of celery, only worker"),
    Hidden("airflow's workers by a command", "airflow api-server", "a secret", {"AIRFLOW__API__WORKERS_CMD": "nproc"}),
    Hidden(
        "airflow's refresh", "airflow api-server", "rolling refresh", {"AIRFLOW__API__WORKER_REFRESH_INTERVAL": "9"}
    ),
    Hidden("another part of airflow", "airflow scheduler", "of airflow, only api-server"),
    Hidden(
        "langflow's environment file", "langflow run --env-file .env", "environment file", {"LANGFLOW_WORKERS": "2"}
    ),
    Hidden("langflow follows the CPUs", "langflow run --workers -1", "--workers is '-1'"),
    Hidden("mlflow's environment file", "mlflow --env-file .env server", "an environment file"),
    Hidden("mlflow serves a model", "mlflow models serve -m m", "of mlflow, only server"),
    Hidden("prefect's other server commands", "prefect server database upgrade", "of prefect, only server start"),
    Hidden("NUM_WORKERS from envFrom", "litellm", "NUM_WORKERS may be set by envFrom", env_from=True),
    Hidden("dramatiq follows the CPUs", "dramatiq tasks", "one process per CPU"),
    Hidden("uwsgi with a file", "uwsgi --ini uwsgi.ini -p 3", "a configuration file"),
    Hidden("uwsgi with a positional file", "uwsgi uwsgi.ini", "uwsgi.ini"),
    Hidden("fastapi without a subcommand", "fastapi", "of fastapi, only run, dev"),
    Hidden("a script", "python app.py", "'app.py' is no server"),
    Hidden("a package", "python -m app", "'app' is no server"),
    Hidden("python -c", ["python", "-c", "import app"], "what python -c runs"),
    Hidden("python without arguments", "python", "names no program"),
    Hidden("an entrypoint script", "/entrypoint.sh uvicorn app:app --workers 3", "'entrypoint.sh' is no server"),
    Hidden("a shell script file", "sh start.sh", "a shell script"),
    Hidden("two commands", ["sh", "-c", "alembic upgrade head && exec uvicorn app:app"], "more than one plain command"),
    Hidden("two lines", ["sh", "-c", "set -e\nuvicorn app:app"], "more than one plain command"),
    Hidden("a pipe", ["sh", "-c", "uvicorn app:app | tee log"], "more than one plain command"),
    Hidden("a substitution", ["sh", "-c", "uvicorn app:app --workers $(nproc)"], "more than one plain command"),
    Hidden("arithmetic", ["sh", "-c", "uvicorn app:app --workers $((2*2))"], "more than one plain command"),
    Hidden("a default in the shell", ["sh", "-c", "uvicorn app:app --workers ${N:-2}"], "more than one plain command"),
    Hidden("positional parameters", ["sh", "-c", 'exec uvicorn "$@"', "--", "--workers", "3"], "more than one plain"),
    Hidden(
        "a variable in single quotes", ["sh", "-c", "uvicorn a:a --workers '$N'"], "more than one plain", {"N": "3"}
    ),
    Hidden("a shell variable that is not set", ["sh", "-c", "uvicorn a:a --workers $N"], "needs N"),
    Hidden("a shell variable of two words", ["sh", "-c", "uvicorn a:a $N"], "needs N", {"N": "--workers 3"}),
    Hidden("a shell variable from envFrom", ["sh", "-c", "uvicorn a:a --port $N"], "N may be set by", env_from=True),
    Hidden("an open quote in the shell", ["sh", "-c", "uvicorn 'a:a"], "cannot be split"),
    Hidden("an empty shell command", ["sh", "-c", " "], "names no program"),
    Hidden(
        "an option of a wrapper that is not known",
        "uv run --env-file .env uvicorn a:a",
        "uv --env-file is not understood",
    ),
    Hidden("a wrapper without its subcommand", "newrelic-admin run-python app.py", "not followed by 'run-program'"),
    Hidden("a wrapper of nothing", "tini --", "names no program"),
    Hidden("env -i", "env -i uvicorn app:app", "env -i is not understood"),
]


def container(case: Case | Hidden, name: str = "app") -> Container:
    words = shlex.split(case.command) if isinstance(case.command, str) else case.command
    return Container(
        name,
        command=tuple(words[:1]),
        args=tuple(words[1:]),
        env=tuple(Variable(key, value) for key, value in case.env.items()),
        has_env_from=case.env_from,
    )


@pytest.mark.parametrize(
    "case", [*PRECEDENCE, *APPLICATIONS, *SPELLINGS, *WRAPPED, *EXPANDED], ids=lambda case: case.sentence
)
def test_the_spec_shows_the_count(case: Case) -> None:
    found = detect([container(case)])
    assert isinstance(found, Processes), found
    assert (found.count, found.prefork) == (case.count, case.prefork)


@pytest.mark.parametrize("case", HIDDEN, ids=lambda case: case.sentence)
def test_nothing_is_guessed(case: Hidden) -> None:
    found = detect([container(case)])
    assert isinstance(found, Unknown), found
    assert case.reason in found.message
    assert found.message.startswith("container app: ")
    assert found.message.endswith("set spec.workloads[].processes")
    assert "\0" not in found.message


def test_arguments_alone_do_not_name_the_program() -> None:
    assert isinstance(detect([Container("app", args=("uvicorn", "app:app", "--workers", "3"))]), Unknown)


def test_a_message_names_the_option_that_settles_the_count() -> None:
    assert detect([Container("api", command=("celery", "worker"))]) == Unknown(
        "container api: celery starts one process per CPU of the node unless it is told a number; "
        "write --concurrency N in the command, or set spec.workloads[].processes"
    )


def test_the_source_says_where_the_count_stands() -> None:
    command = ("uvicorn", "app:app")
    env = (Variable("WEB_CONCURRENCY", "3"),)
    found = detect([Container("api", command=command, env=env), Container("side", command=command)])
    assert found == Processes(4, "container api: WEB_CONCURRENCY; container side: default of uvicorn")


def test_one_unknown_container_makes_the_pod_unknown() -> None:
    found = detect([Container("api", command=("uvicorn", "a:a")), Container("side")])
    assert isinstance(found, Unknown)
    assert found.message.startswith("container side: ")


def test_children_beside_a_server_are_not_only_prefork_children() -> None:
    worker = Container("worker", command=("celery", "worker", "-c", "3"))
    assert detect([worker, worker]) == Processes(
        6, "container worker: --concurrency; container worker: --concurrency", prefork=True
    )
    mixed = detect([worker, Container("api", command=("uvicorn", "a:a"))])
    assert isinstance(mixed, Processes)
    assert (mixed.count, mixed.prefork) == (4, False)


def test_no_container_is_no_process() -> None:
    found = detect([])
    assert isinstance(found, Unknown)
    assert "spec.workloads[].containers" in found.message


def test_the_last_entry_of_a_name_counts() -> None:
    env = (Variable("WEB_CONCURRENCY", "2"), Variable("WEB_CONCURRENCY", "5"))
    found = detect([Container("api", command=("uvicorn", "a:a"), env=env)])
    assert isinstance(found, Processes)
    assert found.count == 5
