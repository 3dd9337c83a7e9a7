"""How the API server is reached, where the environment names a proxy."""

import asyncio
from pathlib import Path

import pytest
import yaml

from poolbudget.kube import _configuration

API = "https://api.example.com:6443"
PROXY = "http://proxy.example.com:3128"

CASES = {
    "no proxy is used where none is named": ({}, None),
    "HTTPS_PROXY is used": ({"HTTPS_PROXY": PROXY}, PROXY),
    "a proxy for other protocols is not": ({"HTTP_PROXY": PROXY}, None),
    "NO_PROXY exempts the API server": ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.com"}, None),
}


@pytest.mark.parametrize(("variables", "proxy"), CASES.values(), ids=CASES.keys())
def test_the_proxy_of_the_environment(
    variables: dict[str, str], proxy: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert asyncio.run(_configuration(str(kubeconfig(tmp_path)))).proxy == proxy


def test_the_proxy_of_the_kubeconfig_goes_before_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    own = "http://own.example.com:8080"
    assert asyncio.run(_configuration(str(kubeconfig(tmp_path, own)))).proxy == own


def kubeconfig(folder: Path, proxy: str = "") -> Path:
    """Write a kubeconfig."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": API} | ({"proxy-url": proxy} if proxy else {})}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
