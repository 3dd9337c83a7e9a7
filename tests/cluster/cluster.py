"""The life of this checkout's cluster: up, down, load, exec, status. Called by __main__.py.

With a Docker daemon that can get kind's pinned node image, the cluster is a plain `kind create cluster`; elsewhere kind
runs on a private engine with a node image of our own (engine.py, node/). Whatever a dead run or a removed checkout left
is cleared away by the next `up`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster import tools
from tests.cluster.console import ClusterError, lock, lock_if_free, say, step, succeeds
from tests.cluster.identity import CACHE, ROOT, Identity, identify
from tests.cluster.loading import images_of, loaded_images, record_images
from tests.cluster.node import binaries, kit
from tests.cluster.state import Cluster, lock_file, record, recorded

# the default of the pinned kind release
REGISTRY_IMAGE = "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"
KIND_CONFIG = Path(__file__).parent / "kind.yaml"


def up() -> None:
    """Make sure that this checkout's cluster is there and ready; clear away what dead runs left first."""
    identity = identify(ROOT, CACHE)
    with lock(lock_file(identity.home)):
        sweep(identity.home)
        cluster = recorded(identity.home)
        if cluster is None or not cluster.recovers():
            destroy(identity.home)
            with step("cluster up"):
                cluster = create(identity)
        wait_until_usable(cluster)
    say(f"{identity.name} is up: make cluster-exec CMD='kubectl get pods -A'; KUBECONFIG is {cluster.kubeconfig}")


def down() -> None:
    """Remove this checkout's cluster with everything that runs for it."""
    identity = identify(ROOT, CACHE)
    with lock(lock_file(identity.home)), step(f"{identity.name} down"):
        destroy(identity.home)


def load(archives: Sequence[Path]) -> None:
    """Load docker-archive tars into the cluster's nodes, unless they have the very same images."""
    cluster = require()
    home = cluster.identity.home
    for archive in archives:
        images = images_of(archive)
        if images.items() <= loaded_images(home).items():
            say(f"{archive.name} is loaded already")
            continue
        with step(f"load {archive.name}"):
            cluster.run([str(tools.kind()), "load", "image-archive", str(archive), "--name", cluster.identity.name])
        record_images(home, images)


def execute(command: Sequence[str]) -> None:
    """Become `command`, where the cluster can be reached; never returns."""
    cluster = require()
    become(cluster.reach(command), cluster.environment)


def become(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Replace this process by `command`, so that signals, stdin and the exit code are its own."""
    full = {**os.environ, **environment}
    program = shutil.which(command[0], path=full["PATH"])
    if program is None:
        raise ClusterError(f"{command[0]} is not installed")
    os.execve(program, list(command), full)  # noqa: S606 - the user gave the command


def status() -> str:
    """Name, state and how to reach the cluster, as lines."""
    cluster = require()
    rows = {
        "name": cluster.identity.name,
        "state": "ready" if cluster.healthy() else "not answering",
        "engine": f"private, in {cluster.engine.home}" if cluster.engine else "the machine's Docker",
        "node image": cluster.image,
        "kubeconfig": str(cluster.kubeconfig),
        "exec": "make cluster-exec CMD='kubectl get pods -A'",
    }
    return "\n".join(f"{key + ':':<12}{value}" for key, value in rows.items())


def require() -> Cluster:
    """This checkout's cluster, or a ClusterError that says how to get one."""
    cluster = recorded(identify(ROOT, CACHE).home)
    if cluster is None:
        raise ClusterError("this checkout has no cluster: `make cluster-up` makes one")
    return cluster


def create(identity: Identity) -> Cluster:
    """Make the cluster from nothing; what it will occupy is on record before any of it is started."""
    kind = tools.kind()
    cluster = on_docker(identity) if docker_serves() else on_private_engine(identity)
    record(cluster)
    if cluster.engine:
        with step("private Docker engine"):
            cluster.engine.start()
    with step("kind create cluster"):
        names = ["--name", identity.name, "--image", cluster.image, "--kubeconfig", str(cluster.kubeconfig)]
        cluster.run([str(kind), "create", "cluster", *names, "--config", str(KIND_CONFIG), "--wait", "180s"])
    return cluster


def docker_serves() -> bool:
    """Whether a Docker daemon answers that has, or can pull, the pinned node image."""
    if not succeeds(["docker", "version"]):
        return False
    with step(f"node image {REGISTRY_IMAGE}"):
        return succeeds(["docker", "image", "inspect", REGISTRY_IMAGE]) or succeeds(["docker", "pull", REGISTRY_IMAGE])


def on_docker(identity: Identity) -> Cluster:
    """A cluster on the machine's Docker; kubectl is the machine's own, or built."""
    identity.home.mkdir(parents=True)
    kubectl = shutil.which("kubectl")
    return Cluster(identity, REGISTRY_IMAGE, Path(kubectl).parent if kubectl else binaries.kubectl(), None)


def on_private_engine(identity: Identity) -> Cluster:
    """A cluster on an engine of its own, which has the node image already."""
    tools.require_root("a private Docker engine")
    tools.debian()
    version = kit.ensure()
    with step("image store"):
        engine = version.new_engine(identity.home / "engine", identity.name)
    return Cluster(identity, kit.NODE_IMAGE, version.bin, engine)


def wait_until_usable(cluster: Cluster) -> None:
    """Wait for what a ready node does not imply: names resolve, and pods can be made in the default namespace."""
    cluster.run(["kubectl", "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s"])
    cluster.run(["kubectl", "wait", "--for=create", "serviceaccount/default", "--timeout=60s"])


def sweep(own: Path) -> None:
    """Remove the clusters whose checkout is gone or whose engine died, and the kits that none uses any more.

    What another run holds is left alone.
    """
    homes = [path for path in own.parent.iterdir() if path.is_dir()]
    for home in homes:
        with lock_if_free(lock_file(home)) as free:
            if free and is_dead(home):
                say(f"removing what {home} was: its checkout or its engine is gone")
                destroy(home)
    kit.prune({cluster.bin for home in homes if (cluster := recorded(home))})


def is_dead(home: Path) -> bool:
    """Whether nobody can use the cluster in `home` any more."""
    cluster = recorded(home)
    if cluster is None or not cluster.identity.checkout.is_dir():
        return True
    return cluster.engine is not None and cluster.engine.init_process() is None


def destroy(home: Path) -> None:
    """Remove the cluster in `home` and its state; nothing to do is fine."""
    cluster = recorded(home)
    if cluster and cluster.engine:
        cluster.engine.stop()
    elif cluster:
        cluster.run([str(tools.kind()), "delete", "cluster", "--name", cluster.identity.name])
    if home.exists():
        shutil.rmtree(home)
