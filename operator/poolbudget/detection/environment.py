"""The environment of a container as far as its spec shows it, and the expansion of `$(NAME)` that Kubernetes does.

`command.parse` builds one per container; the sources of `servers` read it. What the spec does not show raises
`UndetectableError`, which `processes.detect` turns into `Unknown`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from poolbudget.detection.podspec import Variable

UNREADABLE = "\0"
"""Stands in a text for a reference whose value the spec does not show."""

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")


class UndetectableError(Exception):
    """The spec does not show what is asked for, for a `reason`; an `option` in the command may settle it."""

    def __init__(self, reason: str, option: str = "") -> None:
        super().__init__(reason)
        self.reason = reason.replace(UNREADABLE, "$(...)")
        self.option = option


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables by name, None where the value comes from elsewhere. `open_ended`: `envFrom` may define more."""

    values: Mapping[str, str | None]
    open_ended: bool = False

    @classmethod
    def of(cls, variables: Iterable[Variable], *, has_env_from: bool) -> "Environment":
        """Resolve the entries of `env` in their order: a value may refer to earlier ones; the last of a name counts."""
        values: dict[str, str | None] = {}
        environment = cls(values, has_env_from)
        for variable in variables:
            values[variable.name] = None if variable.value is None else environment.expand(variable.value)
        return environment

    def having(self, values: Mapping[str, str]) -> "Environment":
        """Return a copy in which these variables are set."""
        return replace(self, values={**self.values, **values})

    def read(self, name: str) -> str | None:
        """Return the value of a variable, None if it is not set, or raise `UndetectableError`."""
        if name not in self.values:
            if self.open_ended:
                raise UndetectableError(f"{name} may be set by envFrom, which is not read")
            return None
        value = self.values[name]
        if value is None or UNREADABLE in value:
            raise UndetectableError(f"{name} comes from valueFrom or envFrom, which are not read")
        return value

    def expand(self, text: str) -> str:
        """Expand `$(NAME)` by Kubernetes' rule: `$$` is a dollar sign, and an unknown name stays as it is written."""
        return _REFERENCE.sub(self._replacement, text)

    def _replacement(self, match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        if name not in self.values:
            return UNREADABLE if self.open_ended else match[0]
        value = self.values[name]
        return UNREADABLE if value is None else value
