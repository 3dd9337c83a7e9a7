"""The example's Postgres and applications in a namespace of a test's own, and what the server sees under load."""

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.functional.cluster import budget, kubectl
from tests.functional.space import Raw, Space

BASE = Path(__file__).parents[2] / "examples" / "demo" / "base"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - in a pod
USABLE = 50
"""Of the 60 connections of that server, with 10 reserved."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A namespace with the example's Postgres; budgets and applications come from the test."""

    space: Space
    manifests: Mapping[tuple[str, str], Raw]

    async def budget(self, *workloads: dict[str, Any], **fields: Any) -> None:
        """Put the workloads under a budget of the server; `fields` are further ones of its spec."""
        database = self.database("orders-db")
        await self.space.apply(budget(self.space.name, *workloads, maxConnections=60, database=database, **fields))

    def database(self, service: str) -> Raw:
        """Return how the server is reached over one of its Services."""
        return {
            "host": f"{service}.{self.space.name}.svc",
            "name": "orders",
            "credentialsSecretRef": {"name": "orders-db-monitor"},
        }

    async def application(
        self,
        name: str,
        replicas: int,
        *,
        like: str = "",
        labelled: bool = True,
        surge: bool = True,
        drains: bool = False,
        options: tuple[str, ...] = (),
        env: Mapping[str, str] = {},
        without: Collection[str] = (),
    ) -> None:
        """Start one of the example's Deployments as a workload of the budget, with further variables of its own.

        `without`: the example's own variables that it does not set, so that the budget's are injected.
        `like`: the Deployment that it is a copy of, if that has another name. `drains`: its pods go on serving for the
        seconds that it takes until nobody is sent to them any more. `options`: further ones of its command.
        """
        text = json.dumps([self.manifests[kind, like or name] for kind in ("Service", "Deployment")])
        service, manifest = json.loads(text.replace(f'"{like or name}"', f'"{name}"'))
        template = manifest["spec"]["template"]
        manifest["spec"]["replicas"] = replicas
        if not surge:
            manifest["spec"]["strategy"] = {"type": "Recreate"}
        if labelled:
            template["metadata"]["labels"] |= labels(name)
        container = template["spec"]["containers"][0]
        container["command"] = [*container["command"], *options]
        container["env"] = [variable for variable in container["env"] if variable["name"] not in without]
        container["env"] += [{"name": key, "value": value} for key, value in env.items()]
        if not drains:
            template["spec"]["terminationGracePeriodSeconds"] = 5
            del container["lifecycle"]
        await self.space.apply(service, manifest)

    async def adopt(self, name: str) -> None:
        """Put the labels on a workload that runs without them; its controller replaces the pods."""
        await self.space.patch("Deployment", name, spec={"template": {"metadata": {"labels": labels(name)}}})

    async def ready(self, name: str, seconds: int = 90) -> None:
        """Wait until the newest revision of a Deployment serves with all its pods and no old one."""
        where = ("-n", self.space.name, f"deployment/{name}", f"--timeout={seconds}s")
        await asyncio.to_thread(kubectl, "rollout", "status", *where)

    async def run(self, name: str, *command: str, role: str = "shop") -> Raw:
        """Run a program of the example's image in a pod to its end; return the JSON line that it printed."""
        await self.start(name, *command, role=role)
        return await self.result(name)

    async def start(self, name: str, *command: str, role: str = "shop", cpu: str = "0") -> None:
        """Start such a program, and wait until it runs. `cpu`: what it gets even when all want more than there is."""
        key = {"shop": "APPLICATION_PASSWORD", "postgres": "POSTGRES_PASSWORD"}[role]
        password = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "orders-db", "key": key}}}
        values = {"DB_HOST": "orders-db", "DB_NAME": "orders", "DB_USER": role}
        container = {
            "name": "app",
            "image": "poolbudget/example:dev",
            "command": list(command),
            "env": [password, *({"name": key, "value": value} for key, value in values.items())],
            "resources": {"requests": {"cpu": cpu}},
        }
        spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
        await self.space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        await self.phase(name, "Running", "Succeeded", "Failed")

    async def stop(self, name: str) -> Raw:
        """Tell such a program to stop, and return the JSON line that it printed."""
        end = ("python", "-c", "import os; os.kill(1, 15)")
        await asyncio.to_thread(kubectl, "exec", "-n", self.space.name, name, "--", *end, check=False)
        return await self.result(name)  # which tells what it said, should it have failed before

    async def result(self, name: str, seconds: float = 60) -> Raw:
        """Wait until the program has ended, and return the JSON line that it printed."""
        pod = await self.phase(name, "Succeeded", "Failed", seconds=seconds)
        said = (await asyncio.to_thread(kubectl, "logs", "-n", self.space.name, name)).stdout
        assert pod["status"]["phase"] == "Succeeded", said
        line: Raw = json.loads(said.splitlines()[-1])
        return line

    async def phase(self, name: str, *phases: str, seconds: float = 60) -> Raw:
        """Wait until a pod is in one of these phases."""

        def of(pods: list[Raw]) -> list[Raw]:
            return [p for p in pods if p["metadata"]["name"] == name and p["status"].get("phase") in phases]

        return of(
            await self.space.until("Pod", lambda pods: bool(of(pods)), what=f"{name} is {phases}", seconds=seconds)
        )[0]


def labels(workload: str) -> dict[str, str]:
    """Return what a pod template of the workload has to carry."""
    return {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": workload}


def uvicorn(path: Path, workers: int = 1) -> tuple[str, ...]:
    """Return the command that serves the `app` of a module."""
    where = ("--host", EVERYWHERE, "--port", "8000")
    return ("uvicorn", f"{path.stem}:app", *where, "--no-access-log", "--workers", str(workers))


def module(path: Path) -> Raw:
    """Return a ConfigMap with a module that pods import: see `importing`."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": path.stem},
        "data": {path.name: path.read_text()},
    }


def importing(path: Path, template: Raw) -> None:
    """Let the first container of a pod template find this module."""
    spec = template["spec"]
    container, folder = spec["containers"][0], f"/{path.stem}"
    spec.setdefault("volumes", []).append({"name": path.stem, "configMap": {"name": path.stem}})
    container.setdefault("volumeMounts", []).append({"name": path.stem, "mountPath": folder})
    container["env"].append({"name": "PYTHONPATH", "value": folder})


async def open_shop(space: Space) -> Shop:
    """Start the example's Postgres in the namespace, and wait until it accepts connections."""
    rendered = yaml.safe_load_all(kubectl("kustomize", str(BASE)).stdout)
    manifests = {(m["kind"], m["metadata"]["name"]): m for m in rendered}
    for manifest in manifests.values():
        manifest["metadata"].pop("namespace", None)
    applications = {("Deployment", "api"), ("Service", "api"), ("Deployment", "worker"), ("Service", "worker")}
    server = [m for key, m in manifests.items() if key not in applications and key[0] != "Namespace"]
    await space.apply(*server)
    where = ("-n", space.name, "statefulset/orders-db", "--timeout=90s")
    await asyncio.to_thread(kubectl, "rollout", "status", *where)
    return Shop(space, manifests)
