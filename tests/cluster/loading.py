"""Which images a cluster has been given, so that an archive is not loaded twice. Called by cluster.py."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.console import ClusterError


def images_of(archive: Path) -> Mapping[str, str]:
    """The images of a docker-archive tar: name -> digest of its configuration, which stands for all its content."""
    try:
        with tarfile.open(archive, "r:") as tar:
            manifest = tar.extractfile("manifest.json")
            entries = json.load(manifest) if manifest else []
    except (OSError, KeyError, tarfile.TarError) as error:
        advice = "give a tar of `docker save` or `python -m tests.cluster.images`"
        raise ClusterError(f"{archive} is no image archive ({error}): {advice}") from error
    return {name: entry["Config"] for entry in entries for name in entry["RepoTags"] or [entry["Config"]]}


def loaded_images(home: Path) -> Mapping[str, str]:
    """The images that were loaded into the cluster in `home`, as images_of names them."""
    record = home / "images.json"
    images: Mapping[str, str] = json.loads(record.read_text()) if record.exists() else {}
    return images


def record_images(home: Path, images: Mapping[str, str]) -> None:
    """Remember that `images` are in the cluster; a name that was there before now means the new one."""
    new = home / "images.json.new"
    new.write_text(json.dumps({**loaded_images(home), **images}, indent=1))
    new.rename(home / "images.json")
