"""What README.md shows is what there is: its links, make targets, lines of code and the output of `poolbudget plan`."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from poolbudget.cli import main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
LINKS = sorted({link for link in re.findall(r"]\(([^)#]+)\)", README) if not link.startswith("http")})
TARGETS = sorted(set(re.findall(r"\bmake ([a-z][a-z-]+)", README)))
SNIPPETS = re.findall(r"\(examples/settings/(\w+\.py)\)\):\n\n```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_to_a_file(link: str) -> None:
    assert (ROOT / link).is_file()


@pytest.mark.parametrize("target", TARGETS)
def test_a_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_driver_has_its_lines() -> None:
    assert {name for name, _ in SNIPPETS} == {path.name for path in (ROOT / "examples/settings").glob("*.py")}


@pytest.mark.parametrize(("name", "lines"), SNIPPETS, ids=[name for name, _ in SNIPPETS])
def test_lines_of_code_are_those_of_the_example(name: str, lines: str) -> None:
    assert lines in (ROOT / "examples/settings" / name).read_text()


def test_the_plan_of_the_tour_is_the_one_that_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.search(r"^\$ \.venv/bin/poolbudget (plan .*)\n((?:.+\n)+)```", README, re.MULTILINE)
    assert shown is not None
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(main, shown[1].split())
    assert (result.exit_code, result.output) == (0, shown[2])
