"""How the known servers find their number of processes: one declaration each.

`processes.detect` calls `count` with the command that `command.parse` found. The sources of a server stand in the order
of its own precedence; docs/detection.md names the versions at which it was checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

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
    """One way to start a program: its sources by descending precedence, and the option that settles the number."""

    sources: tuple[Source, ...]
    option: str = ""
    prefork: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A program by its subcommands, "" where it has none. `valued` are the options before one that take a value."""

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
    return found, server.prefork and not found.threads


def _server(command: Command) -> Server:
    if command.program not in PROGRAMS:
        raise UndetectableError(f"{command.program!r} is no server whose number of processes is known")
    program = PROGRAMS[command.program]
    name = "" if "" in program.servers else _subcommand(command.arguments, program.valued)
    if name not in program.servers:
        known = ", ".join(program.servers)
        raise UndetectableError(f"of {command.program}, only {known} have a number of processes that is known")
    return program.servers[name]


def _subcommand(arguments: tuple[str, ...], valued: tuple[str, ...]) -> str:
    """Return the first argument that is neither an option nor the value of one."""
    candidates = zip(("", *arguments), arguments, strict=False)
    return next((word for before, word in candidates if not word.startswith("-") and before not in valued), "")
