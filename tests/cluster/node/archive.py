"""Writes docker-archive image files from tars, without an image builder. Called by kit.py."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

# A fixed date makes the same input the same image.
CREATED = "2026-01-01T00:00:00Z"
PATH_VARIABLE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def files_layer(layer: Path, files: Mapping[str, Path]) -> Path:
    """Write a layer with `files` (absolute path in the image -> source), all executable, and return its path."""
    with tarfile.open(layer, "w") as tar:
        for target, source in files.items():
            entry = tarfile.TarInfo(str(PurePosixPath(target).relative_to("/")))
            entry.mode = 0o755
            entry.size = source.stat().st_size
            with source.open("rb") as content:
                tar.addfile(entry, content)
    return layer


def write_image(archive: Path, names: Sequence[str], layers: Sequence[Path], config: Mapping[str, object]) -> Path:
    """Write the image `names` of uncompressed `layers`, lowest first, with the OCI `config`, and return its path."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": CREATED,
        "config": {"Env": [PATH_VARIABLE], **config},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}" for layer in layers]},
        "history": [{"created": CREATED} for _ in layers],
    }
    content = json.dumps(document).encode()
    config_name = f"{hashlib.sha256(content).hexdigest()}.json"
    layer_names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": config_name, "RepoTags": list(names), "Layers": layer_names}]
    with tarfile.open(archive, "w") as tar:
        _add(tar, config_name, content)
        for name, layer in zip(layer_names, layers, strict=True):
            tar.add(layer, name)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return archive


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
