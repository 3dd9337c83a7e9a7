"""How the known servers find their number of processes: one declaration each.

`processes.detect` calls `count` with the command that `command.parse` found. The sources of a server stand in the order
of its own precedence; docs/detection.md names the versions at which it was checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from poolbudget.detection.command import Command
from poolbudget.detection.environment import UndetectableError
from poolbudget.detection.sources import (
    Count,
    Source,
    arguments_variable,
    default,
    first,
    flag,
    hidden,
    hidden_file,
    per_cpu,
    switch,
    thread_pool,
    variable,
)


@dataclass(frozen=True, slots=True)
class Server:
    """One way to start a program: its sources by descending precedence, and the option that settles the number.

    `parents` are processes above the counted ones that open pools of their own.
    """

    sources: tuple[Source, ...]
    option: str = ""
    prefork: bool = False
    parents: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """A program by its subcommands of one word or more, "" where it has none.

    `valued` are the options before a subcommand that take a value.
    """

    servers: Mapping[str, Server]
    valued: tuple[str, ...] = ()


ONE = Server((default(1),))
GUNICORN_WORKERS = flag("-w", "--workers", switches="DR")
GUNICORN_FILE = hidden("a configuration file", options=("-c", "--config"))

UVICORN = Server(
    (
        switch("--reload"),
        flag("--workers"),
        variable("UVICORN_WORKERS"),
        variable("WEB_CONCURRENCY"),
        hidden("an environment file", options=("--env-file",), names=("UVICORN_ENV_FILE",)),
        default(1),
    ),
    option="--workers",
)
FASTAPI_RUN = Server(
    (switch("--reload"), flag("--workers"), variable("WEB_CONCURRENCY"), default(1)),
    option="--workers",
)
FASTAPI_DEV = Server((hidden("WEB_CONCURRENCY", options=("--no-reload",)), default(1)))
GUNICORN = Server(
    (
        GUNICORN_WORKERS,
        arguments_variable("GUNICORN_CMD_ARGS", GUNICORN_WORKERS, GUNICORN_FILE),
        GUNICORN_FILE,
        variable("WEB_CONCURRENCY"),
        default(1),
    ),
    option="--workers",
)
HYPERCORN = Server(
    (flag("-w", "--workers"), hidden("a configuration file", options=("-c", "--config")), default(1)),
    option="--workers",
)
GRANIAN = Server((flag("--workers"), variable("GRANIAN_WORKERS"), default(1)), option="--workers")
CELERY_WORKER = Server(
    (
        thread_pool("-P", "--pool", kinds=frozenset({"solo", "threads", "gevent", "eventlet"})),
        flag("--autoscale"),
        hidden("CELERY_WORKER_AUTOSCALE", names=("CELERY_WORKER_AUTOSCALE",)),
        flag("-c", "--concurrency", switches="DE"),
        variable("CELERY_WORKER_CONCURRENCY"),
        per_cpu,
    ),
    option="--concurrency",
    prefork=True,
)
DRAMATIQ = Server((flag("-p", "--processes"), per_cpu), option="--processes")
RQ_WORKER = Server((default(1),), prefork=True)
RQ_POOL = Server((flag("-n", "--num-workers"), default(1)), option="--num-workers", prefork=True)
UWSGI = Server(
    (
        hidden("a configuration file", options=("--ini", "--yaml", "--json", "--xml", "--emperor")),
        hidden("a configuration file", names=("UWSGI_INI", "UWSGI_YAML", "UWSGI_JSON", "UWSGI_XML")),
        hidden_file(".ini", ".yaml", ".yml", ".json", ".xml"),
        flag("-p", "--processes", "--workers"),
        variable("UWSGI_PROCESSES"),
        variable("UWSGI_WORKERS"),
        default(1),
    )
)

# The parent's one connection is counted by the profile, whoever says how many workers there are.
AIRFLOW_API_SERVER = Server(
    (
        hidden("a rolling refresh of workers", names=("AIRFLOW__API__WORKER_REFRESH_INTERVAL",)),
        flag("-w", "--workers"),
        hidden("a command or a secret", names=("AIRFLOW__API__WORKERS_CMD", "AIRFLOW__API__WORKERS_SECRET")),
        variable("AIRFLOW__API__WORKERS"),
        default(1),
    ),
    option="--workers",
)
MLFLOW_SERVER = Server(
    (
        flag("-w", "--workers"),
        variable("MLFLOW_WORKERS"),
        hidden("an environment file", options=("--env-file",)),
        default(4),
    ),
    option="--workers",
    parents=1,
)
PREFECT_SERVER = Server((flag("--workers"), default(1)), option="--workers")
LANGFLOW_RUN = Server(
    (
        flag("--workers"),
        hidden("an environment file", options=("--env-file",)),
        variable("LANGFLOW_WORKERS"),
        default(1),
    ),
    option="--workers",
)
LITELLM = Server(
    (flag("--num_workers"), variable("NUM_WORKERS"), variable("DEFAULT_NUM_WORKERS_LITELLM_PROXY"), default(1)),
    option="--num_workers",
)
OPEN_WEBUI = Server((variable("UVICORN_WORKERS"), default(1)))
LETTA = Server((variable("LETTA_UVICORN_WORKERS"), default(1)))

PROGRAMS: Mapping[str, Program] = {
    "uvicorn": Program({"": UVICORN}),
    "fastapi": Program({"run": FASTAPI_RUN, "dev": FASTAPI_DEV}),
    "gunicorn": Program({"": GUNICORN}),
    "hypercorn": Program({"": HYPERCORN}),
    "granian": Program({"": GRANIAN}),
    "celery": Program(
        {"worker": CELERY_WORKER, "beat": ONE, "flower": ONE},
        valued=("-A", "--app", "-b", "--broker", "--result-backend", "--loader", "--config", "--workdir"),
    ),
    "dramatiq": Program({"": DRAMATIQ}),
    "rq": Program({"worker": RQ_WORKER, "worker-pool": RQ_POOL}),
    "arq": Program({"": ONE}),
    "uwsgi": Program({"": UWSGI}),
    "airflow": Program({"api-server": AIRFLOW_API_SERVER}),
    "dagster-webserver": Program({"": ONE}),
    "langflow": Program({"run": LANGFLOW_RUN}),
    "letta": Program({"server": LETTA}),
    "litellm": Program({"": LITELLM}),
    "mlflow": Program({"server": MLFLOW_SERVER}, valued=("--env-file",)),
    "open-webui": Program({"serve": OPEN_WEBUI}),
    "prefect": Program({"server start": PREFECT_SERVER}, valued=("-p", "--profile")),
}


def count(command: Command) -> tuple[Count, bool]:
    """Return the processes of a command, and whether they are prefork children; raise `UndetectableError`."""
    server = _server(command)
    try:
        found = first(server.sources, command)
    except UndetectableError as error:
        raise UndetectableError(error.reason, server.option) from error
    if found is None:
        raise AssertionError(f"the sources of {command.program} do not end in a default")
    return replace(found, processes=found.processes + server.parents), server.prefork and not found.threads


def _server(command: Command) -> Server:
    if command.program not in PROGRAMS:
        raise UndetectableError(f"{command.program!r} is no server whose number of processes is known")
    program = PROGRAMS[command.program]
    if "" in program.servers:
        return program.servers[""]
    words = _operands(command.arguments, program.valued)
    for name, server in program.servers.items():
        subcommand = name.split()
        if words[: len(subcommand)] == subcommand:
            return server
    known = ", ".join(program.servers)
    raise UndetectableError(f"of {command.program}, only {known} have a number of processes that is known")


def _operands(arguments: tuple[str, ...], valued: tuple[str, ...]) -> list[str]:
    """Return the arguments that are neither options nor the value of one, as far as these are known."""
    candidates = zip(("", *arguments), arguments, strict=False)
    return [word for before, word in candidates if not word.startswith("-") and before not in valued]
