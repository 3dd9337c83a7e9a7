"""Durations on the command line, written as Kubernetes writes them: `15s`, `500ms`, `2m`, `1h`."""

import re

import click

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """A positive duration; gives seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds that `value` names."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", str(value))
        if match is None or not float(match[1]):
            self.fail(f"{value!r} is no duration: write a number and ms, s, m or h, such as 15s", param, ctx)
        return float(match[1]) * SECONDS[match[2]]
