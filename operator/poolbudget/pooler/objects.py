"""The Kubernetes objects of one budget's pooler, as values. `act.pooler_keeper` applies them.

The pods carry no label of a budget, so that nothing holds them back: they start while the operator is away. What a pod
may open at the server comes with its annotation, which `act.pooler_pods` changes in place and which the kubelet shows
to PgBouncer at once, also after a crash; a ConfigMap would show an old number for a minute.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from poolbudget.api.v1alpha1 import API_VERSION, KIND, SecretKeyReference, Tls
from poolbudget.planning.model import Budget
from poolbudget.planning.poolers import PORT
from poolbudget.pooler.config import FOLDER, Limits, pgbouncer_ini, server_tls
from poolbudget.pooler.network import to_pooler, to_server

Manifest = dict[str, Any]

POOLER_LABEL = "poolbudget.dev/pooler"
"""On every object of a pooler: the name of its budget."""
LIMITS_ANNOTATION = "poolbudget.dev/pooler-limits"
"""Of a pooler's pods: what limits.ini holds."""
CONFIG_ANNOTATION = "poolbudget.dev/pooler-config"
"""Of a pooler's pods: a hash of everything that only a new pod takes over."""
SECRET_ANNOTATION = "poolbudget.dev/pooler-secret"  # noqa: S105 - the name of an annotation
"""Of a pooler's pods: a hash of its Secret. The kubelet brings files up to date at once when an annotation changes."""

START = 'ulimit -S -n "$(ulimit -H -n)"; exec pgbouncer "$0"'
"""PgBouncer needs a file for each client and only logs that it may not open so many: nodes often begin with 1024."""

USER = 65532
LEAVE_SECONDS = 5
"""Between the end of a pod's being offered to new clients and PgBouncer's signal to take in no more."""
LEAST_GRACE_SECONDS = 30
MOST_GRACE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Pooler:
    """What the manifests are made of. `name` is that of the objects, `system` the namespace of the operator."""

    name: str
    budget: Budget
    image: str
    system: str

    @property
    def labels(self) -> dict[str, str]:
        """What tells this pooler's objects and pods from others."""
        return {
            "app.kubernetes.io/name": "pgbouncer",
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/component": "pooler",
            "app.kubernetes.io/part-of": "poolbudget",
            "app.kubernetes.io/managed-by": "poolbudget",
            POOLER_LABEL: self.budget.key.name,
        }

    @property
    def server_tls(self) -> Tls:
        """How its connections to the server are protected."""
        return server_tls(self.budget.spec)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names under which applications may reach it; the first is the one that pods are told."""
        short = f"{self.name}.{self.budget.key.namespace}"
        return (f"{short}.svc", f"{short}.svc.cluster.local", short, self.name)


def manifests(pooler: Pooler, replicas: int, limits: Limits, trusted: str) -> list[Manifest]:
    """Return everything but the Secret, in the order in which to apply it; `trusted`: the PEM of who issued its key."""
    server = pooler.budget.spec.pooler.server_pod_selector
    config = {"pgbouncer.ini": pgbouncer_ini(pooler.budget.spec), "ca.crt": trusted}
    return [
        _object(pooler, "v1", "ConfigMap", data=config),
        _object(pooler, "v1", "Service", spec=_service(pooler)),
        _object(pooler, "policy/v1", "PodDisruptionBudget", spec={"maxUnavailable": 1, "selector": _selector(pooler)}),
        _network_policy(pooler, pooler.name, to_pooler(_selector(pooler), pooler.budget, pooler.system)),
        stateful_set(pooler, replicas, limits),
        *([_network_policy(pooler, server_policy_name(pooler.name), to_server(server))] if server else []),
    ]


def server_policy_name(pooler: str) -> str:
    """Return the name of the NetworkPolicy that keeps pods behind the pooler of this name from the server's."""
    return f"{pooler}-server"


def secret(pooler: Pooler, data: Mapping[str, str]) -> Manifest:
    """Return the Secret; `data` is base64: the list of users, the key, the console's password."""
    return _object(pooler, "v1", "Secret", data=dict(data))


def stateful_set(pooler: Pooler, replicas: int, limits: Limits) -> Manifest:
    """Return the StatefulSet: never two pods of one ordinal, so that replicas x limit is the most that it opens.

    OnDelete: a limit is no reason to replace pods, and `act.pooler_pods` replaces them for any other, one by one.
    """
    spec = _pod_spec(pooler, replicas)
    seen = json.dumps([spec, pgbouncer_ini(pooler.budget.spec)], sort_keys=True)
    annotations = {LIMITS_ANNOTATION: limits.text, CONFIG_ANNOTATION: sha256(seen.encode()).hexdigest()[:16]}
    return _object(
        pooler,
        "apps/v1",
        "StatefulSet",
        spec={
            "replicas": replicas,
            "serviceName": pooler.name,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "revisionHistoryLimit": 1,
            "selector": _selector(pooler),
            "template": {"metadata": {"labels": pooler.labels, "annotations": annotations}, "spec": spec},
        },
    )


def grace_seconds(budget: Budget, replicas: int) -> int:
    """Return how long a pod may take to end: until the pools of all applications have replaced their connections.

    A PgBouncer that ends (1.23 and newer) waits for its clients and takes in no new ones. A single one must not wait:
    nobody would take in new clients meanwhile.
    """
    if replicas == 1:
        return LEAST_GRACE_SECONDS
    recycled = max(workload.pool.recycle_seconds for workload in budget.spec.workloads)
    return min(MOST_GRACE_SECONDS, max(LEAST_GRACE_SECONDS, recycled + LEAST_GRACE_SECONDS + LEAVE_SECONDS))


def _pod_spec(pooler: Pooler, replicas: int) -> Manifest:
    container = {
        "name": "pgbouncer",
        "image": pooler.image,
        "command": ["sh", "-c", START, f"{FOLDER}/pgbouncer.ini"],
        "ports": [{"name": "postgres", "containerPort": PORT}],
        # No liveness probe: it would end a PgBouncer that only waits for its last clients.
        "readinessProbe": {"tcpSocket": {"port": "postgres"}, "periodSeconds": 1, "failureThreshold": 2},
        "lifecycle": {"preStop": {"sleep": {"seconds": LEAVE_SECONDS}}},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": FOLDER, "readOnly": True}],
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_seconds(pooler.budget, replicas),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": _selector(pooler),
            }
        ],
        "containers": [container],
        "volumes": [{"name": "config", "projected": {"defaultMode": 0o440, "sources": _sources(pooler)}}],
    }


def _sources(pooler: Pooler) -> list[Manifest]:
    """Return what is mounted; the key of the authority that issued the pooler's certificate stays out."""
    authority = pooler.server_tls.ca_secret_ref
    files = [_item(name, name) for name in ("userlist.txt", "auth.ini", "tls.crt", "tls.key")]
    limits = {"path": "limits.ini", "fieldRef": {"fieldPath": f"metadata.annotations['{LIMITS_ANNOTATION}']"}}
    return [
        {"configMap": {"name": pooler.name, "items": [_item("pgbouncer.ini", "pgbouncer.ini")]}},
        {"secret": {"name": pooler.name, "items": files}},
        {"downwardAPI": {"items": [limits]}},
        *([_authority(authority)] if authority else []),
    ]


def _authority(reference: SecretKeyReference) -> Manifest:
    return {"secret": {"name": reference.name, "items": [_item(reference.key, "server-ca.crt")]}}


def _item(key: str, path: str) -> dict[str, str]:
    return {"key": key, "path": path}


def _service(pooler: Pooler) -> Manifest:
    return {
        "selector": _selector(pooler)["matchLabels"],
        "ports": [{"name": "postgres", "port": PORT, "targetPort": "postgres", "protocol": "TCP"}],
    }


def _network_policy(pooler: Pooler, name: str, spec: Manifest) -> Manifest:
    return _object(pooler, "networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)


def _selector(pooler: Pooler) -> Manifest:
    return {"matchLabels": {"app.kubernetes.io/name": "pgbouncer", POOLER_LABEL: pooler.budget.key.name}}


def _object(pooler: Pooler, version: str, kind: str, name: str = "", **content: Any) -> Manifest:
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": pooler.budget.key.name,
        "uid": pooler.budget.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    metadata = {
        "name": name or pooler.name,
        "namespace": pooler.budget.key.namespace,
        "labels": pooler.labels,
        "ownerReferences": [owner],
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
