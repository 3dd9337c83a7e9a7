"""What is known of a cluster: how to reach it, and its record on disk, by which any later run finds it again.

Used by cluster.py, which makes and removes clusters.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.console import ClusterError, run
from tests.cluster.engine import Engine
from tests.cluster.identity import Identity

PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Cluster:
    """A cluster that was begun: `engine` is None on the machine's own Docker; `bin` is the folder of kubectl."""

    identity: Identity
    image: str
    bin: Path
    engine: Engine | None

    @property
    def kubeconfig(self) -> Path:
        """Where kind wrote the credentials."""
        return self.identity.home / "kubeconfig"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a command needs to reach the cluster, and kind to reach the engine."""
        engine = dict(self.engine.environment) if self.engine else {"PATH": os.environ["PATH"]}
        return engine | {"KUBECONFIG": str(self.kubeconfig), "PATH": f"{self.bin}:{engine['PATH']}"}

    def reach(self, command: Sequence[str]) -> list[str]:
        """`command` where the cluster's addresses can be reached."""
        return self.engine.inside(command) if self.engine else list(command)

    def run(self, command: Sequence[str]) -> str:
        """Run `command` there and return its stdout."""
        return run(self.reach(command), self.environment)

    def healthy(self) -> bool:
        """Whether its API server says that it is ready."""
        try:
            self.run(["kubectl", "get", "--raw", "/readyz"])
        except ClusterError:
            return False
        return True

    def recovers(self) -> bool:
        """Whether it is ready, or becomes so within PATIENCE_SECONDS: a busy cluster is not a dead one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.healthy():
            stopped = self.engine is not None and self.engine.init_process() is None
            if stopped or not self.kubeconfig.exists() or time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True


def lock_file(home: Path) -> Path:
    """The lock of the cluster in `home`; beside it, because `home` is removed while the lock is held."""
    return home.with_name(f"{home.name}.lock")


def record(cluster: Cluster) -> None:
    """Write down whose cluster this is and how to reach it."""
    identity, programs = cluster.identity, cluster.engine and str(cluster.engine.programs)
    facts = {"checkout": str(identity.checkout), "name": identity.name, "image": cluster.image}
    places = {"bin": str(cluster.bin), "programs": programs}
    new = identity.home / "cluster.json.new"
    new.write_text(json.dumps(facts | places, indent=1))
    new.rename(identity.home / "cluster.json")


def recorded(home: Path) -> Cluster | None:
    """The cluster that `home` is the state of, or None."""
    try:
        facts = json.loads((home / "cluster.json").read_text())
    except FileNotFoundError:
        return None
    identity = Identity(Path(facts["checkout"]), facts["name"], home)
    programs = facts["programs"]
    engine = Engine(Path(programs), home / "engine", identity.name) if programs else None
    return Cluster(identity, facts["image"], Path(facts["bin"]), engine)
