"""What the other tests rely on works in the cluster: names, Services, webhooks, policies, exec, logs, OOM kills.

Runs wherever kubectl reaches a cluster that has the image poolbudget/example:dev, as under `make cluster-exec`.
"""

from __future__ import annotations

import base64
import datetime
import json
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

IMAGE = "poolbudget/example:dev"
WAIT = "--timeout=60s"
# Answers every admission review with a refusal, and every GET with its host name.
SERVER = """
import http.server, json, socket, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(200); self.end_headers(); self.wfile.write(text.encode())
    def do_GET(self):
        self.answer(socket.gethostname())
    def do_POST(self):
        uid = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]["uid"]
        response = {"uid": uid, "allowed": False, "status": {"message": "refused by the webhook"}}
        self.answer(json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
server = http.server.ThreadingHTTPServer(("", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("serving", flush=True)
server.serve_forever()
"""
# A Service refuses connections until kube-proxy has seen its pod.
FETCH = """
import ssl, sys, time, urllib.error, urllib.request
context = ssl.create_default_context(cafile="/tls/tls.crt")
while True:
    try:
        print(urllib.request.urlopen(sys.argv[1], context=context, timeout=5).read().decode())
        break
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ConnectionRefusedError):
            raise
        time.sleep(0.1)
"""


def kubectl(*arguments: str, manifest: Mapping[str, object] | None = None) -> subprocess.CompletedProcess[str]:
    text = json.dumps(manifest) if manifest else None
    return subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, check=False)


def apply(*manifests: Mapping[str, object]) -> None:
    for manifest in manifests:
        done = kubectl("apply", "-f", "-", manifest=manifest)
        assert done.returncode == 0, done.stderr


def certificate(host: str, folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for `host`, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "tls.crt", folder / "tls.key"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(*encoding))
    return certificate_file, key_file


def pod(name: str, *command: str, **more: object) -> dict[str, object]:
    container = {
        "name": "main",
        "image": IMAGE,
        "command": list(command),
        "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}, "requests": {"cpu": "10m"}},
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
        **more,
    }
    tls = {"name": "tls", "secret": {"secretName": "tls", "optional": True}}
    spec = {"containers": [container], "volumes": [tls], "terminationGracePeriodSeconds": 0, "restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A namespace of the test's own, kubectl's default while it runs, and removed with the objects named like it."""
    name = f"cluster-{uuid.uuid4().hex[:6]}"
    assert kubectl("create", "namespace", name).returncode == 0
    context = tmp_path / "kubeconfig"
    context.write_text(kubectl("config", "view", "--raw", "--minify", "--flatten").stdout)
    monkeypatch.setenv("KUBECONFIG", str(context))
    assert kubectl("config", "set-context", "--current", f"--namespace={name}").returncode == 0
    assert kubectl("wait", "--for=create", "serviceaccount/default", WAIT).returncode == 0
    yield name
    kinds = "validatingwebhookconfiguration,validatingadmissionpolicy,validatingadmissionpolicybinding"
    kubectl("delete", kinds, name, "--ignore-not-found")
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def server(namespace: str, tmp_path: Path) -> Path:
    """An HTTPS server behind the Service `server`; returns the certificate that it shows."""
    certificate_file, key_file = certificate(f"server.{namespace}.svc", tmp_path)
    created = kubectl("create", "secret", "tls", "tls", f"--cert={certificate_file}", f"--key={key_file}")
    assert created.returncode == 0, created.stderr
    probe = {"tcpSocket": {"port": 8443}, "periodSeconds": 1}
    ports = [{"port": 443, "targetPort": 8443}]
    service = {"spec": {"selector": {"app": "server"}, "ports": ports}, "metadata": {"name": "server"}}
    apply(
        {"apiVersion": "v1", "kind": "Service", **service}, pod("server", "python3", "-c", SERVER, readinessProbe=probe)
    )
    ready = kubectl("wait", "--for=condition=Ready", "pod/server", WAIT)
    assert ready.returncode == 0, ready.stderr
    return certificate_file


def test_a_pod_reaches_another_through_a_service_by_name(server: Path, namespace: str) -> None:
    apply(pod("client", "python3", "-c", FETCH, f"https://server.{namespace}.svc/"))
    done = kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/client", WAIT)
    assert done.returncode == 0, kubectl("logs", "client").stdout
    assert kubectl("logs", "client").stdout == "server\n"


def test_the_api_server_reaches_a_webhook_in_a_pod(server: Path, namespace: str) -> None:
    webhook = {
        "name": "refuse.example.com",
        "clientConfig": {
            "service": {"name": "server", "namespace": namespace},
            "caBundle": base64.b64encode(server.read_bytes()).decode(),
        },
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchLabels": {"refuse": "me"}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    apply({**kind, "metadata": {"name": namespace}, "webhooks": [webhook]})
    assert "refused by the webhook" in answer_to_a_config_map("refused by the webhook")


def test_a_validating_admission_policy_refuses(namespace: str) -> None:
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": namespace}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    matches = {"resourceRules": [rule], "namespaceSelector": selector}
    validations = [{"expression": "!('refuse' in object.metadata.?labels.orValue({}))", "message": "refused by policy"}]
    policy = {"matchConstraints": matches, "validations": validations}
    binding = {"policyName": namespace, "validationActions": ["Deny"]}
    apply({**kind, "kind": "ValidatingAdmissionPolicy", "spec": policy})
    apply({**kind, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding})
    assert "refused by policy" in answer_to_a_config_map("refused by policy")


def answer_to_a_config_map(expected: str) -> str:
    """What the API server says to a labelled ConfigMap, asked by dry runs until it is `expected` or 30 s are over."""
    labelled = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "labels": {"refuse": "me"}}}
    deadline = time.monotonic() + 30
    while True:
        done = kubectl("create", "--dry-run=server", "-f", "-", manifest=labelled)
        if expected in done.stderr or time.monotonic() > deadline:
            return done.stdout + done.stderr


def test_a_command_runs_in_a_pod_and_its_exit_code_comes_back(server: Path) -> None:
    done = kubectl("exec", "server", "--", "python3", "-c", "print('inside'); raise SystemExit(7)")
    assert (done.stdout, done.returncode) == ("inside\n", 7)


def test_a_pod_above_its_memory_limit_is_killed(namespace: str) -> None:
    apply(pod("greedy", "python3", "-c", "x = b'x' * (256 << 20)"))
    done = kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/greedy", WAIT)
    assert done.returncode == 0, done.stderr
    reason = "jsonpath={.status.containerStatuses[0].state.terminated.reason}"
    assert kubectl("get", "pod", "greedy", "-o", reason).stdout == "OOMKilled"
