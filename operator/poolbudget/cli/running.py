"""Run a command's coroutine; what the API server refuses becomes one line, not a traceback."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import click

from poolbudget.kube import ApiError


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; raise `click.ClickException` for an `ApiError`."""
    try:
        asyncio.run(work)
    except ApiError as error:
        raise click.ClickException(error.message or str(error)) from error
