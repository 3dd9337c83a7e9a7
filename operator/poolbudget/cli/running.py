"""Run a command's coroutine; what the API server refuses becomes one line, not a traceback."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import click

from poolbudget.kube import ApiError


class InputError(click.ClickException):
    """The command cannot do anything with what it was given."""

    exit_code = 2


def run(work: Coroutine[Any, Any, None], failure: type[click.ClickException] = click.ClickException) -> None:
    """Run to the end; raise `failure` for an `ApiError`."""
    try:
        asyncio.run(work)
    except ApiError as error:
        raise failure(error.message or str(error)) from error
