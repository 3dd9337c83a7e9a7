"""Whether there is a way to the database through each pod of one pooler. Used by `act.pooler_keeper`.

Every pod is tried, since each reads a changed Secret at a time of its own, and remembers what the server refused until
somebody asks again: without a probe the first application would be told.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence

from poolbudget.kube import Kube
from poolbudget.observe.login import Unobservable
from poolbudget.observe.pooler import probe
from poolbudget.planning.model import Budget
from poolbudget.pooler.layout import PoolerPod

REPEAT_SECONDS = 30.0
AGAIN_SECONDS = 2.0
"""After a failure."""


class PoolerProbes:
    """Tries again when the login or the processes have changed, and now and then."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._tried: tuple[Mapping[str, str], list[str]] | None = None
        self._due = 0.0
        self._problem: Unobservable | None = None

    async def problem(
        self, budget: Budget, pods: Sequence[PoolerPod], login: Mapping[str, str], trust: ssl.SSLContext
    ) -> Unobservable | None:
        """Return why there is no way through the first pod that lacks one, None if all have one.

        `login` and `trust`: see `observe.pooler.probe`.
        """

        async def attempt(pod: PoolerPod) -> Unobservable | None:
            try:
                await probe(self._kube, budget.key.namespace, budget.spec, pod, login, trust)
            except Unobservable as problem:
                return problem
            return None

        asked = (login, [pod.process for pod in pods])
        if asked != self._tried or time.monotonic() >= self._due:
            found = await asyncio.gather(*map(attempt, pods))
            self._problem = next((problem for problem in found if problem), None)
            self._tried = asked
            self._due = time.monotonic() + (AGAIN_SECONDS if self._problem else REPEAT_SECONDS)
        return self._problem
