"""The ways out: `poolbudget release` and `poolbudget uninstall`, with the rights that they need and without."""

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.functional.cluster import budget, create, eventually, get, install, kubectl, pod

pytestmark = pytest.mark.usefixtures("installed")

TOO_SMALL = {"name": "api", "processes": 1, "maxPods": 1, "max": 1}
"""A workload whose floor does not fit: its pods wait for ever."""


def poolbudget(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from poolbudget.cli import main; main()", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def stuck(namespace: str) -> str:
    """Return a namespace with a pod `api-1` that cannot be granted anything."""
    create(budget(namespace, TOO_SMALL))
    probe = pod(namespace, "probe")
    eventually(
        lambda: "annotations" not in create(probe, "--dry-run=server")["metadata"], "the webhook knows the budget"
    )
    create(pod(namespace))
    return namespace


@pytest.fixture
def breaker(namespace: str, tmp_path: Path) -> Iterator[str]:
    """Return a kubeconfig of a user in the break-glass group, made as an administrator would: by a signing request."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "poolbudget:break-glass"),
        x509.NameAttribute(NameOID.COMMON_NAME, "breaker"),
    ]
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject)).sign(key, hashes.SHA256())
    spec = {
        "request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "expirationSeconds": 600,
    }
    name = f"breaker-{namespace}"
    create(
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": spec,
        }
    )
    kubectl("certificate", "approve", name)
    certificate = eventually(lambda: get("csr", name)["status"].get("certificate"), "the request is signed")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    config: dict[str, Any] = yaml.safe_load(kubectl("config", "view", "--raw", "--minify", "--flatten").stdout)
    user = {"client-certificate-data": certificate, "client-key-data": base64.b64encode(pem).decode()}
    config["users"] = [{"name": config["users"][0]["name"], "user": user}]
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    yield str(path)
    kubectl("delete", "csr", name)


def test_a_stuck_pod_is_released_with_the_smallest_pools(stuck: str, breaker: str) -> None:
    done = poolbudget("release", "api-1", "-n", stuck, "--kubeconfig", breaker)
    assert "no ledger counts it" in done.stdout, done.stderr
    kubectl("wait", "-n", stuck, "pod/api-1", "--for=condition=Ready", "--timeout=60s")
    environment = kubectl("exec", "-n", stuck, "api-1", "--", "env").stdout.splitlines()
    settings = dict(line.split("=", 1) for line in environment if line.startswith("DB_"))
    assert settings["DB_POOL_SIZE"] == "2"
    assert all(settings.values()), "a reference that nobody wrote is an empty string"
    again = poolbudget("release", "api-1", "-n", stuck, "--kubeconfig", breaker)
    assert (again.returncode, "there is nothing to release" in again.stderr) == (1, True)


def test_a_value_can_be_given(stuck: str, breaker: str) -> None:
    assert (
        poolbudget("release", "api-1", "-n", stuck, "--set", "DB_POOL_SIZE=1", "--kubeconfig", breaker).returncode == 0
    )
    assert get("pod", "-n", stuck, "api-1")["metadata"]["annotations"]["env.poolbudget.dev/DB_POOL_SIZE"] == "1"


def test_a_pod_of_a_deleted_budget_is_released_with_the_default_names(stuck: str, breaker: str) -> None:
    kubectl("delete", "pb", "orders", "-n", stuck)
    assert poolbudget("release", "api-1", "-n", stuck, "--kubeconfig", breaker).returncode == 0


def test_a_pod_that_does_not_exist_is_a_plain_error(namespace: str, breaker: str) -> None:
    done = poolbudget("release", "api-1", "-n", namespace, "--kubeconfig", breaker)
    assert (done.returncode, done.stderr) == (1, 'Error: pods "api-1" not found\n')


def test_a_value_without_a_name_is_a_plain_error(namespace: str) -> None:
    done = poolbudget("release", "api-1", "-n", namespace, "--set", "5")
    assert done.returncode == 2
    assert "write NAME=VALUE" in done.stderr


@pytest.fixture
def installed_again() -> Iterator[None]:
    yield
    install()


@pytest.mark.usefixtures("installed_again")
def test_uninstall_frees_every_waiting_pod_and_may_be_repeated(stuck: str) -> None:
    done = poolbudget("uninstall", "--yes")
    assert done.returncode == 0, done.stderr
    kubectl("wait", "-n", stuck, "pod/api-1", "--for=condition=Ready", "--timeout=60s")
    assert "schedulingGates" not in create(pod(stuck, "api-2"))["spec"]
    again = poolbudget("uninstall", "--yes")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("not there") == 3
