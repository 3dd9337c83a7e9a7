"""A container whose spec does not show its number of processes: nothing is guessed, and the reason says what to do."""

import pytest

from poolbudget.detection.podspec import Container
from poolbudget.detection.processes import Unknown, detect
from tests.unit.detection_cases import Hidden, container

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


def test_one_unknown_container_makes_the_pod_unknown() -> None:
    found = detect([Container("api", command=("uvicorn", "a:a")), Container("side")])
    assert isinstance(found, Unknown)
    assert found.message.startswith("container side: ")


def test_no_container_is_no_process() -> None:
    found = detect([])
    assert isinstance(found, Unknown)
    assert "spec.workloads[].containers" in found.message
