"""An archive is loaded once, and again when its content or the meaning of its name has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.console import ClusterError
from tests.cluster.loading import images_of, loaded_images, record_images
from tests.cluster.node.archive import files_layer, write_image


def archive(folder: Path, content: str) -> Path:
    """An image a:1 with one file."""
    (folder / "file").write_text(content)
    layer = files_layer(folder / "layer.tar", {"/file": folder / "file"})
    return write_image(folder / f"{content}.tar", ["a:1"], [layer], {})


def is_loaded(home: Path, tar: Path) -> bool:
    return images_of(tar).items() <= loaded_images(home).items()


def test_a_new_cluster_has_no_images(tmp_path: Path) -> None:
    assert not is_loaded(tmp_path, archive(tmp_path, "one"))


def test_what_was_recorded_is_loaded(tmp_path: Path) -> None:
    tar = archive(tmp_path, "one")
    record_images(tmp_path, images_of(tar))
    assert is_loaded(tmp_path, tar)


def test_an_older_image_is_loaded_again_after_a_newer_one_took_its_name(tmp_path: Path) -> None:
    one, two = archive(tmp_path, "one"), archive(tmp_path, "two")
    record_images(tmp_path, images_of(one))
    record_images(tmp_path, images_of(two))
    assert is_loaded(tmp_path, two)
    assert not is_loaded(tmp_path, one)


@pytest.mark.parametrize("content", [None, b"", b"no tar at all"])
def test_what_is_no_image_archive_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClusterError, match=r"x\.tar is no image archive .*: give a tar of `docker save`"):
        images_of(path)
