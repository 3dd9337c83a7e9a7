"""What a checkout's cluster is called and where it lives: pure, so that two checkouts never share a name.

Used by every other module here.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poolbudget"


@dataclass(frozen=True)
class Identity:
    """The cluster of one checkout: `home` holds its state, `name` is kind's name of it and its containers' cgroup."""

    checkout: Path
    name: str
    home: Path


def identify(checkout: Path, cache: Path) -> Identity:
    """Name the cluster of `checkout` after a hash of the path, so that another checkout has another cluster."""
    key = hashlib.sha256(os.fsencode(checkout)).hexdigest()[:8]
    return Identity(checkout, f"poolbudget-{key}", cache / "clusters" / key)


def fingerprint(folder: Path, *versions: str) -> str:
    """Sixteen hex digits that change with `versions` and with path, mode or content of any file below `folder`."""
    digest = hashlib.sha256("\0".join(versions).encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"):
        content = path.read_bytes()
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"{path.relative_to(folder)}\0{executable}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
