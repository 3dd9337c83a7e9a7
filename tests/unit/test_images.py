"""An image's tar is named after all that goes into it, and nothing that is there is built again."""

from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.console import ClusterError

IMAGE = images.Image("poolbudget/probe:1", context=".", dockerfile="Dockerfile", inputs=("Dockerfile", "source"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.py").write_text("a = 1\n")
    return tmp_path


def edit(checkout: Path) -> None:
    (checkout / "source" / "a.py").write_text("a = 2\n")


def rename(checkout: Path) -> None:
    (checkout / "source" / "a.py").rename(checkout / "source" / "b.py")


def make_executable(checkout: Path) -> None:
    (checkout / "source" / "a.py").chmod(0o755)


def add(checkout: Path) -> None:
    (checkout / "source" / "empty").touch()


@pytest.mark.parametrize("change", [edit, rename, make_executable, add])
def test_the_key_changes_when_an_input_does(checkout: Path, change: object) -> None:
    before = images.key(IMAGE, checkout)
    assert callable(change)
    change(checkout)
    assert images.key(IMAGE, checkout) != before


def test_the_key_ignores_byte_code_and_files_that_are_no_input(checkout: Path) -> None:
    before = images.key(IMAGE, checkout)
    (checkout / "source" / "__pycache__").mkdir()
    (checkout / "source" / "__pycache__" / "a.pyc").write_bytes(b"x")
    (checkout / "notes.txt").write_text("x")
    assert images.key(IMAGE, checkout) == before


def test_the_key_is_the_same_in_another_checkout(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "checkout"
    (other / "source").mkdir(parents=True)
    (other / "source" / "a.py").write_text("a = 1\n")
    (other / "Dockerfile").write_text("FROM scratch\n")
    assert images.key(IMAGE, other) == images.key(IMAGE, checkout)


def test_a_tar_that_is_there_is_printed_and_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(images, "CACHE", tmp_path)
    tars = [
        tmp_path / f"{name}-{images.key(images.IMAGES[name], images.ROOT)}.tar" for name in ("pgbouncer", "postgres")
    ]
    for tar in tars:
        tar.write_bytes(b"archive")
    assert images.main(["pgbouncer", "postgres"]) == 0
    assert capsys.readouterr().out.split() == [str(tar) for tar in tars]
    assert [tar.read_bytes() for tar in tars] == [b"archive"] * 2


def test_an_unknown_name_is_refused_with_the_names_to_choose_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert images.main(["postgress"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "postgress" in said.err
    assert "operator, example, postgres, pgbouncer" in said.err


def test_a_missing_input_is_named(checkout: Path) -> None:
    (checkout / "Dockerfile").unlink()
    with pytest.raises(ClusterError, match="Dockerfile is missing"):
        images.key(IMAGE, checkout)


def test_what_is_copied_by_a_dockerfile_is_an_input_of_its_image() -> None:
    for image in images.IMAGES.values():
        for line in (images.ROOT / image.dockerfile).read_text().splitlines():
            words = [word for word in line.split() if not word.startswith("--")]
            if words[:1] == ["COPY"] and "--from=" not in line:
                for source in words[1:-1]:
                    path = (images.ROOT / image.context / source).resolve()
                    assert path.exists(), f"{image.dockerfile} copies {source}"
                    inputs = [(images.ROOT / entry).resolve() for entry in image.inputs]
                    assert any(path.is_relative_to(entry) for entry in inputs), f"{source} is no input of {image.tag}"
