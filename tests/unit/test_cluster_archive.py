"""Image archives that are written without an image builder are what `docker load` and containerd expect."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster.node.archive import files_layer, write_image


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"#!/bin/true")
    return path


def test_a_layer_holds_the_files_as_executables(tmp_path: Path, program: Path) -> None:
    layer = files_layer(tmp_path / "layer.tar", {"/usr/bin/program": program})
    with tarfile.open(layer) as tar:
        [entry] = tar.getmembers()
    assert (entry.name, entry.mode, entry.size) == ("usr/bin/program", 0o755, 11)


def test_an_image_names_its_layers_by_their_content(tmp_path: Path, program: Path) -> None:
    layer = files_layer(tmp_path / "layer.tar", {"/program": program})
    archive = write_image(tmp_path / "image.tar", ["example.com/a:1"], [layer], {"Entrypoint": ["/program"]})
    with tarfile.open(archive) as tar:
        [manifest] = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
        config = json.loads(tar.extractfile(manifest["Config"]).read())  # type: ignore[union-attr]
    assert manifest["RepoTags"] == ["example.com/a:1"]
    assert manifest["Layers"] == ["0/layer.tar"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer.read_bytes()).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/program"]


def test_the_same_input_makes_the_same_image(tmp_path: Path, program: Path) -> None:
    layer = files_layer(tmp_path / "layer.tar", {"/program": program})
    archives = [write_image(tmp_path / f"{number}.tar", ["a:1"], [layer], {}) for number in (1, 2)]
    assert config_name(archives[0]) == config_name(archives[1])


def config_name(archive: Path) -> str:
    """The name of the image's configuration, which is its hash."""
    with tarfile.open(archive) as tar:
        return tar.getnames()[0]
