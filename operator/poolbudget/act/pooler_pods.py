"""What the pods of one pooler were told: limits, to read their files again, that they end. Used by `act.pooler_keeper`.

A limit is first written to the pod, where its next process finds it, and then told to the process that runs.
"""

import asyncio
import logging
import time
from dataclasses import replace
from itertools import chain

from poolbudget.act.console import Console
from poolbudget.act.pooler_secret import Material
from poolbudget.kube import ApiError, Kube
from poolbudget.observe.login import FAILURES
from poolbudget.planning.model import BudgetKey
from poolbudget.pooler.config import Limits
from poolbudget.pooler.layout import PoolerPod, Seen
from poolbudget.pooler.objects import LIMITS_ANNOTATION, SECRET_ANNOTATION

log = logging.getLogger(__name__)

FILES_SECONDS = 2.0
"""How long the kubelet may take to bring the files of a pod up to date after an annotation has changed."""


class PoolerPods:
    """Tells, and remembers by process: `told` are the limits that it was told and has reached."""

    def __init__(self, kube: Kube, budget: BudgetKey) -> None:
        self._kube = kube
        self._pods = f"/api/v1/namespaces/{budget.namespace}/pods"
        self._written: dict[str, tuple[str, float]] = {}
        self._read: dict[str, str] = {}
        self._sent_away: set[str] = set()
        self._failures: dict[str, str] = {}
        self.told: dict[str, Limits] = {}

    @property
    def unreached(self) -> str:
        """Say which pods cannot be told; empty if all can."""
        return "; ".join(f"the console of {pod} does not answer: {error}" for pod, error in self._failures.items())

    async def write(self, seen: Seen, limits: Limits, material: Material) -> Seen:
        """Write limits on the pods that have others, and which Secret their files have to be of; return them so."""
        written = await asyncio.gather(*(self._write(pod, limits, material) for pod in seen.pods))
        return replace(seen, pods=tuple(written))

    async def tell(self, seen: Seen, limits: Limits, material: Material, *, may_hold: int) -> None:
        """Tell every process what it has not heard yet; `may_hold`: the most that all may have opened so far."""
        running = {pod.process: pod for pod in seen.pods if pod.process and pod.address}
        self._forget(running)
        shrink = may_hold > limits.connections * seen.spread
        trust = material.trust
        consoles = {process: Console(pod.address, material.password, trust) for process, pod in running.items()}
        await asyncio.gather(
            *(self._tell(running[process], console, limits, shrink) for process, console in consoles.items())
        )

    async def clients(self, seen: Seen, of: frozenset[str], material: Material) -> frozenset[str]:
        """Return which of these addresses the pods show as clients."""
        if not of:
            return of
        consoles = (Console(pod.address, material.password, material.trust) for pod in seen.pods if pod.ready)
        shown = await asyncio.gather(*(console.clients() for console in consoles))
        return of.intersection(chain.from_iterable(shown))

    async def replace_outdated(self, seen: Seen) -> None:
        """Delete one pod of an older template: one that does not serve anyhow, or when all the others serve."""
        outdated = [pod for pod in seen.pods if pod.config != seen.config and not pod.ending]
        idle = [pod for pod in outdated if not pod.ready]
        whole = len(seen.pods) == seen.replicas and all(pod.ready and not pod.ending for pod in seen.pods)
        if seen.observed and (chosen := idle[-1:] or (outdated[-1:] if whole else [])):
            try:
                await self._kube.delete(f"{self._pods}/{chosen[0].name}", {"preconditions": {"uid": chosen[0].uid}})
            except ApiError as error:
                if error.status not in {404, 409}:
                    raise

    async def _tell(self, pod: PoolerPod, console: Console, limits: Limits, shrink: bool) -> None:
        try:
            if pod.limits == limits and self.told.get(pod.process) != limits:
                await console.limit(limits, shrink=shrink)
                self.told[pod.process] = limits
                log.info("%s may open %d connections", pod.name, limits.connections)
            if pod.ending and pod.process not in self._sent_away:
                await console.send_away()
                self._sent_away.add(pod.process)
            if self.told.get(pod.process) == limits and self._has_new_files(pod):
                await console.renew(limits)
                self._read[pod.process] = pod.secret
        except FAILURES as error:
            if not pod.ending and pod.ready:
                self._failures[pod.name] = str(error) or type(error).__name__
        else:
            self._failures.pop(pod.name, None)

    def _has_new_files(self, pod: PoolerPod) -> bool:
        """Whether its files are of a Secret that its process has not read, for long enough to have arrived."""
        if self._read.get(pod.process) == pod.secret:
            return False
        secret, since = self._written.get(pod.process, ("", 0.0))
        if secret != pod.secret:
            self._written[pod.process] = (pod.secret, time.monotonic())
            return False
        return time.monotonic() - since >= FILES_SECONDS

    def _forget(self, running: dict[str, PoolerPod]) -> None:
        self.told = {process: limits for process, limits in self.told.items() if process in running}
        self._written = {process: written for process, written in self._written.items() if process in running}
        self._read = {process: secret for process, secret in self._read.items() if process in running}
        self._sent_away &= running.keys()
        names = {pod.name for pod in running.values()}
        self._failures = {name: error for name, error in self._failures.items() if name in names}

    async def _write(self, pod: PoolerPod, limits: Limits, material: Material) -> PoolerPod:
        if (pod.limits, pod.secret) == (limits, material.digest):
            return pod
        annotations = {LIMITS_ANNOTATION: limits.text, SECRET_ANNOTATION: material.digest}
        body = {"metadata": {"uid": pod.uid, "annotations": annotations}}
        try:
            await self._kube.patch(f"{self._pods}/{pod.name}", body)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise
            return pod
        return replace(pod, limits=limits, secret=material.digest)
