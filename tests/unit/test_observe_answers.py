"""What is left of the objects of a cache once they are decoded."""

import json
from typing import Any

from poolbudget.observe.answers import PAGE, WATCH_EVENT
from poolbudget.observe.pods import parse_pod

METADATA: dict[str, Any] = {
    "name": "api-0",
    "namespace": "shop",
    "uid": "u-0",
    "resourceVersion": "7",
    "generation": 2,
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "deletionTimestamp": "2026-01-01T00:01:00Z",
    "deletionGracePeriodSeconds": 30,
    "labels": {"poolbudget.dev/budget": "orders", "poolbudget.dev/workload": "api", "pod-template-hash": "5f7"},
    "annotations": {"poolbudget.dev/connections": "4", "poolbudget.dev/mode": "Direct"},
    "ownerReferences": [{"kind": "ReplicaSet", "name": "api-5f7", "controller": True}],
}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": METADATA,
    "spec": {"nodeName": "node-1", "containers": [{"name": "app", "env": [{"name": "A", "value": "1"}]}]},
    "status": {"phase": "Running", "podIP": "10.0.0.7", "hostIP": "10.0.0.1"},
}
MANAGED = {"managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}]}
STORED = POD | {"metadata": METADATA | MANAGED}


def test_a_listed_object_keeps_all_that_is_read_of_it() -> None:
    page = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9", "continue": "x"}}
    read = PAGE.decode(json.dumps(page | {"items": [STORED]}))
    assert read == {"metadata": page["metadata"], "items": [POD]}
    assert parse_pod(read["items"][0]) == parse_pod(STORED)


def test_a_watched_object_keeps_all_that_is_read_of_it() -> None:
    event = {"type": "MODIFIED", "object": STORED}
    assert WATCH_EVENT.decode(json.dumps(event)) == {"type": "MODIFIED", "object": POD}


def test_an_error_in_a_watch_keeps_its_code_and_message() -> None:
    status = {"kind": "Status", "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired", "message": "old"}
    assert WATCH_EVENT.decode(json.dumps({"type": "ERROR", "object": status}))["object"] == status


def test_what_is_null_is_no_error() -> None:
    pod = {"metadata": {"name": "p", "labels": None, "annotations": None, "creationTimestamp": None}, "spec": None}
    assert PAGE.decode(json.dumps({"metadata": {}, "items": [pod]}))["items"] == [pod]
