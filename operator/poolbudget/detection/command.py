"""From what a container starts to the program behind it: shells, interpreters and wrappers taken off.

`processes.detect` calls `parse`; `servers.count` looks the program up. Nothing is executed, so a shell script of more
than one plain command, a wrapper's unknown option or an image's own command end in `UndetectableError`.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from poolbudget.detection.environment import UNREADABLE, Environment, UndetectableError
from poolbudget.detection.podspec import Container

Words = tuple[str, ...]
Layer = Callable[[Words, Environment], tuple[Words, Environment]]


@dataclass(frozen=True, slots=True)
class Command:
    """A program by its base name, its arguments, and the environment that it sees."""

    program: str
    arguments: Words
    environment: Environment


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A program that runs another one: `subcommand`, options, `operands`, assignments, then the other program."""

    subcommand: Words = ()
    valued: Words = ()
    switches: Words = ()
    operands: int = 0
    assigns: bool = False


_INIT = Wrapper(valued=("-p", "-e"), switches=("-s", "-g", "-v", "-vv", "-vvv", "-w"))
WRAPPERS: Mapping[str, Wrapper] = {
    "tini": _INIT,
    "tini-static": _INIT,
    "dumb-init": Wrapper(valued=("-r", "--rewrite"), switches=("-c", "--single-child", "-v", "--verbose")),
    "catatonit": Wrapper(switches=("-g",)),
    "exec": Wrapper(),
    "env": Wrapper(assigns=True),
    "nohup": Wrapper(),
    "nice": Wrapper(valued=("-n", "--adjustment")),
    "stdbuf": Wrapper(valued=("-i", "-o", "-e", "--input", "--output", "--error")),
    "gosu": Wrapper(operands=1),
    "su-exec": Wrapper(operands=1),
    "ddtrace-run": Wrapper(switches=("-d", "--debug", "-p", "--profiling")),
    "opentelemetry-instrument": Wrapper(
        valued=("--traces_exporter", "--metrics_exporter", "--logs_exporter", "--service_name")
    ),
    "newrelic-admin": Wrapper(subcommand=("run-program",)),
    "poetry": Wrapper(subcommand=("run",)),
    "pdm": Wrapper(subcommand=("run",)),
    "uv": Wrapper(
        subcommand=("run",),
        valued=("--project", "--directory", "-p", "--python", "--package", "--extra", "--group"),
        switches=("--frozen", "--locked", "--no-sync", "--no-dev", "--no-cache", "--offline", "-q", "--all-extras"),
    ),
}
_PYTHON = re.compile(r"(python|pypy)[0-9.]*")
_SHELLS = frozenset({"sh", "bash", "dash", "ash"})
_SHELL_OPTION = re.compile(r"-[elux]*c")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_SHELL_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_NOT_PLAIN = re.compile(r"[;|&<>()`*?\[\]{}~#!\\$\n\0]")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./:@%+,-]+")


def parse(container: Container) -> Command:
    """Return the program that a container ends up running; raise `UndetectableError` where its spec does not say."""
    if not container.command:
        raise UndetectableError("the command is the image's own, which is not read")
    environment = Environment.of(container.env, has_env_from=container.has_env_from)
    words = tuple(environment.expand(word) for word in (*container.command, *container.args))
    program = _program(words)
    while layer := _layer(program):
        words, environment = layer(words[1:], environment)
        program = _program(words)
    return Command(program, words[1:], environment)


def _program(words: Words) -> str:
    if not words:
        raise UndetectableError("the command names no program")
    if UNREADABLE in words[0]:
        raise UndetectableError("the program comes from a variable that is not read")
    return words[0].rpartition("/")[2]


def _layer(program: str) -> Layer | None:
    """Return what takes a shell, an interpreter or a wrapper off the words that follow its name."""
    if program in _SHELLS:
        return _shell
    if _PYTHON.fullmatch(program):
        return _python
    return partial(_wrapper, program) if program in WRAPPERS else None


def _wrapper(program: str, arguments: Words, environment: Environment) -> tuple[Words, Environment]:
    wrapper = WRAPPERS[program]
    skipped = len(wrapper.subcommand)
    if arguments[:skipped] != wrapper.subcommand:
        raise UndetectableError(f"{program} is not followed by '{' '.join(wrapper.subcommand)}'")
    rest = arguments[skipped:]
    while rest and rest[0].startswith("-"):
        option, rest = rest[0], rest[1:]
        if option == "--":
            break
        rest = rest[_values_after(program, option) :]
    inner = rest[wrapper.operands :]
    return _assign(inner, environment) if wrapper.assigns else (inner, environment)


def _values_after(program: str, option: str) -> int:
    """Return how many of the following words belong to an option of a wrapper."""
    wrapper = WRAPPERS[program]
    if option in wrapper.valued:
        return 1
    attached = option.partition("=")[0] if option.startswith("--") else option[:2]
    if option in wrapper.switches or attached in wrapper.valued:
        return 0
    raise UndetectableError(f"{program} {option} is not understood")


def _python(arguments: Words, environment: Environment) -> tuple[Words, Environment]:
    """Return the module or script that an interpreter runs, and its arguments."""
    rest = arguments
    while rest and rest[0].startswith("-"):
        option, rest = rest[0], rest[1:]
        if option in {"-W", "-X"}:
            rest = rest[1:]
        elif option == "-m":
            break
        elif not re.fullmatch(r"-[BEIOPRSsuvx]+|-[WX].+", option):
            raise UndetectableError(f"what python {option} runs is not read")
    return rest, environment


def _shell(arguments: Words, environment: Environment) -> tuple[Words, Environment]:
    """Split the text of `sh -c TEXT` if it is a single plain command."""
    if len(arguments) < 2 or not _SHELL_OPTION.fullmatch(arguments[0]):
        raise UndetectableError("a shell script is not read")
    text = arguments[1].strip().replace("\\\n", "")
    quoted_variable = "'" in text and "$" in text
    expanded = _SHELL_VARIABLE.sub(lambda match: _plain(match[1] or match[2], environment), text)
    if quoted_variable or _NOT_PLAIN.search(expanded):
        raise UndetectableError("the shell command is more than one plain command with literal variables")
    try:
        words = tuple(shlex.split(expanded))
    except ValueError as error:
        raise UndetectableError(f"the shell command cannot be split ({error})") from error
    return _assign(words, environment)


def _assign(words: Words, environment: Environment) -> tuple[Words, Environment]:
    """Apply the leading NAME=VALUE words of `env` or of a shell command."""
    assignments = tuple(takewhile(bool, map(_ASSIGNMENT.fullmatch, words)))
    values = {match[1]: match[2] for match in assignments if match}
    return words[len(assignments) :], environment.having(values)


def _plain(name: str, environment: Environment) -> str:
    """Return the value of a variable in a shell command, which must be set literally and be a single word."""
    value = environment.read(name)
    if value is None or not _PLAIN_VALUE.fullmatch(value):
        raise UndetectableError(f"the shell command needs {name}, which is not set to a single literal word")
    return value
