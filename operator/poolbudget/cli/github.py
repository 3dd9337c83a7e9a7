"""What a workflow of GitHub Actions shows of a plan: annotations of files, and the summary of the step.

`cli.plan` calls both with `--github`. See
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import os
from pathlib import Path

from poolbudget.cli.documents import STDIN, Problem, display_name

SUMMARY = "GITHUB_STEP_SUMMARY"


def command(level: str, problem: Problem) -> str:
    """Return the workflow command that annotates the file of a problem; `level` is error or warning."""
    file = None if problem.file == display_name(STDIN) else problem.file
    where = {"file": file, "line": problem.line, "title": "PoolBudget"}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in where.items() if value is not None)
    return f"::{level} {properties}::{_data(str(problem))}"


def summarize(text: str) -> None:
    """Append a text to the summary of the step, if there is one."""
    if path := os.environ.get(SUMMARY):
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(f"### PoolBudget\n\n```text\n{text}\n```\n")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
