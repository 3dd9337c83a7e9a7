"""The one way to the Kubernetes API: JSON in, JSON out, over `kubernetes.aio`'s connection and credentials.

`observe` lists and watches through it, `act` writes, the CLI's commands use it directly. The generated model classes
are left out on purpose: building them takes many times the CPU and memory of decoding the JSON.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from kubernetes.aio import client, config
from msgspec.json import Decoder

ANY: Decoder[Any] = Decoder()
JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

PAGE_SIZE = 500
REQUEST_SECONDS = 10.0
"""How long one request may take. A leader counts on it: it is shorter than the lease."""


class ApiError(Exception):
    """The API server refused a request, or could not be reached (`status` 0)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message

    @property
    def outcome_is_unknown(self) -> bool:
        """Whether a write may have been carried out although it failed: no answer, a time-out, or a server's error."""
        return self.status == 0 or self.status >= 500


class Kube:
    """A connection to one API server; paths are those of the REST API (`/api/v1/namespaces/shop/pods`)."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: str | None = None) -> AsyncIterator["Kube"]:
        """Connect with the given kubeconfig, else the pod's service account, else the user's default kubeconfig."""
        async with client.ApiClient(await _configuration(kubeconfig)) as api_client:
            yield cls(api_client)

    async def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """GET one object or one page of a list. Without `resourceVersion` the read is consistent (from a quorum)."""
        return await self._json("GET", path, params)

    async def metadata(self, path: str) -> dict[str, Any]:
        """GET what an object is called and which version it has, without what it holds."""
        answer = await self._json("GET", path, {}, accept=METADATA_ONLY)
        return dict(answer["metadata"])

    async def post(
        self, path: str, body: Mapping[str, Any], *, accept: str = JSON, **params: str | int
    ) -> dict[str, Any]:
        """Create an object."""
        return await self._json("POST", path, params, body, accept=accept)

    async def put(self, path: str, body: Mapping[str, Any], *, accept: str = JSON) -> dict[str, Any]:
        """Replace an object; with `metadata.resourceVersion` only if nobody changed it (else 409)."""
        return await self._json("PUT", path, {}, body, accept=accept)

    async def patch(
        self, path: str, body: Mapping[str, Any] | list[Any], content_type: str = MERGE_PATCH, **params: str | int
    ) -> dict[str, Any]:
        """Patch an object and return its metadata alone, since whole objects would make the answers large.

        `metadata.uid` or `metadata.resourceVersion` in the body are preconditions (else 409).
        """
        return await self._json("PATCH", path, params, body, content_type, accept=METADATA_ONLY)

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Delete an object; `body` is a DeleteOptions."""
        return await self._json("DELETE", path, {}, body)

    async def pages(
        self, path: str, decoder: Decoder[Any] = ANY, /, **params: str | int
    ) -> AsyncIterator[dict[str, Any]]:
        """List in pages, so that neither side ever holds the whole list as JSON; `decoder` may leave parts out."""
        token = ""
        while True:
            query = {"limit": PAGE_SIZE, **params, **({"continue": token} if token else {})}
            page = await self._json("GET", path, query, decoder=decoder)
            yield page
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def watch(
        self,
        path: str,
        resource_version: str,
        timeout_seconds: int,
        decoder: Decoder[Any] = ANY,
        /,
        **params: str | int,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield watch events (`{"type", "object"}`) until the server ends it; `ApiError` 410 means: list anew."""
        query = {
            "watch": 1,
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": timeout_seconds,
            **params,
        }
        silence = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=timeout_seconds + 15)
        response = await self._request("GET", path, query, timeout=silence)
        try:
            while line := await response.content.readline():
                event = decoder.decode(line)
                if event["type"] == "ERROR":
                    raise _error(int(event["object"].get("code", 500)), event["object"])
                yield event
        except (aiohttp.ClientError, TimeoutError, ValueError) as broken:
            raise ApiError(0, "WatchBroken", str(broken) or type(broken).__name__) from broken
        finally:
            response.close()

    async def _json(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int],
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        decoder: Decoder[Any] = ANY,
    ) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        response = await self._request(method, path, params, body, content_type, accept, timeout)
        try:
            answer: dict[str, Any] = decoder.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as broken:
            raise ApiError(0, "AnswerBroken", str(broken) or type(broken).__name__) from broken
        return answer

    async def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int],
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.ClientResponse:
        try:
            prepared = await self._client.param_serialize(
                method,
                path,
                query_params=list(params.items()),
                header_params={"Accept": accept, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = await self._client.call_api(*prepared, _request_timeout=timeout)
            response: aiohttp.ClientResponse = answer.response
            if response.status >= 400:
                raise _error(response.status, _status(await response.read()))
        except (aiohttp.ClientError, TimeoutError, OSError) as unreachable:
            raise ApiError(0, "Unreachable", str(unreachable) or type(unreachable).__name__) from unreachable
        return response


async def _configuration(kubeconfig: str | None) -> client.Configuration:
    configuration = client.Configuration()
    try:
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    except (config.ConfigException, OSError, yaml.YAMLError) as error:
        raise ApiError(0, "NoCluster", f"no usable kubeconfig: {error}; set KUBECONFIG") from error
    # With it, aiohttp would look for ~/.netrc and a proxy again for every single request, the former in another thread.
    configuration.client_session_kwargs = {"trust_env": False}
    configuration.proxy = configuration.proxy or _proxy_of_environment(configuration.host)
    return configuration


def _proxy_of_environment(url: str) -> str | None:
    """Return what HTTPS_PROXY (or HTTP_PROXY) says of the URL, unless NO_PROXY exempts its host."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        status = ANY.decode(body)
    except ValueError:
        return {"message": body.decode(errors="replace")[:500]}
    return status if isinstance(status, dict) else {"message": str(status)[:500]}


def _error(code: int, status: Mapping[str, Any]) -> ApiError:
    return ApiError(code, str(status.get("reason") or "Error"), str(status.get("message") or ""))
