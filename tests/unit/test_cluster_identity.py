"""Names and cache keys of the test cluster: what must differ differs, what must not does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.identity import fingerprint, identify
from tests.cluster.tools import go_version


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "recipe.py").write_text("one")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "unit.service").write_text("two")
    return tmp_path


def test_one_checkout_has_one_cluster() -> None:
    assert identify(Path("/a/project"), Path("/cache")) == identify(Path("/a/project"), Path("/cache"))


def test_two_checkouts_share_neither_name_nor_state() -> None:
    one, other = identify(Path("/a/project"), Path("/cache")), identify(Path("/b/project"), Path("/cache"))
    assert one.name != other.name
    assert one.home != other.home


def test_the_name_fits_a_host_name_with_kinds_suffix() -> None:
    identity = identify(Path("/" + "long/" * 60), Path("/cache"))
    assert len(f"{identity.name}-control-plane") <= 63


def test_a_fingerprint_is_the_same_for_the_same_content(folder: Path) -> None:
    assert fingerprint(folder, "v1") == fingerprint(folder, "v1")


def test_a_fingerprint_changes_with_the_version(folder: Path) -> None:
    assert fingerprint(folder, "v1") != fingerprint(folder, "v2")


def test_a_fingerprint_changes_with_a_file_below(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "files" / "unit.service").write_text("three")
    assert fingerprint(folder) != before


def test_a_fingerprint_changes_when_a_file_is_renamed(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "recipe.py").rename(folder / "other.py")
    assert fingerprint(folder) != before


def test_a_fingerprint_changes_when_a_file_becomes_executable(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "recipe.py").chmod(0o755)
    assert fingerprint(folder) != before


def test_a_fingerprint_ignores_compiled_python(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "recipe.pyc").write_bytes(b"compiled")
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8\n", (1, 26)), ("go1.30rc1", (1, 30)), ("devel +abc", (0, 0))],
)
def test_go_tells_its_version(text: str, version: tuple[int, int]) -> None:
    assert go_version(text) == version
