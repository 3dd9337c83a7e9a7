"""The labels of the namespaces from which pods ask for a budget that selects namespaces by label.

Part of the first step of `reconcile`. They are read when such a pod waits and not watched, as most budgets never
need them.
"""

import time
from collections.abc import Iterable, Mapping

from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.model import Pod
from poolbudget.planning.model import Budget

FRESH_SECONDS = 5.0


class Namespaces:
    """Remembers what it read for a few seconds, since a burst of pods is many rounds."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._read: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def labels(self, budgets: Iterable[Budget], pods: Iterable[Pod]) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of each namespace that a selector has to be asked about now. Raises ApiError."""
        selecting = {budget.key for budget in budgets if budget.spec.allowed_namespaces.selector is not None}
        asking = [pod for pod in pods if pod.waits and pod.workload.budget_key in selecting] if selecting else []
        names = {pod.namespace for pod in asking if pod.namespace != pod.workload.namespace}
        for name in names:
            if name not in self._read or time.monotonic() - self._read[name][0] >= FRESH_SECONDS:
                self._read[name] = (time.monotonic(), await self._get(name))
        self._read = {name: read for name, read in self._read.items() if name in names}
        return {name: labels for name, (_, labels) in self._read.items()}

    async def _get(self, name: str) -> Mapping[str, str]:
        try:
            namespace = await self._kube.get(f"/api/v1/namespaces/{name}")
        except ApiError as error:
            if error.status == 404:
                return {}
            raise
        return namespace["metadata"].get("labels") or {}
