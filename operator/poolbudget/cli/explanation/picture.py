"""Reads all that an explanation needs, as whoever runs the command: API server, ledger, Lease, and the leader's view.

`cli.explain` finds the subject and calls `read_picture`. What the caller may not read is left out and named: many may
read no namespace but their own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from poolbudget.act.breakglass import budget_key
from poolbudget.act.lease import LEASE_NAME
from poolbudget.act.ledger import LABEL, LedgerStore
from poolbudget.api.parse import parse_budget
from poolbudget.api.v1alpha1 import API_VERSION, PLURAL, PoolBudgetSpec
from poolbudget.cli.running import InputError
from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.codec import decode
from poolbudget.ledger.model import BUDGET_LABEL, Ledger
from poolbudget.ledger.packing import unpack
from poolbudget.planning.model import Budget, BudgetKey
from poolbudget.planning.plan import server_key

Raw = dict[str, Any]
FORBIDDEN, NOT_FOUND = 403, 404


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be explained: a budget or, with `uid`, a pod of it; `pod` is None where that pod has vanished."""

    key: BudgetKey
    budget: Raw | None
    uid: str = ""
    pod: Raw | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One budget and its server, as they were read.

    `budget` and `spec` are None where it does not exist; `ledger`, `lease` and `sessions` (client backends by client
    address) where they could not be read; `gaps` says why. `pods` are by uid, also those of the other budgets of the
    server, but none of the namespaces `unread`.
    """

    key: BudgetKey
    budget: Raw | None = None
    spec: PoolBudgetSpec | None = None
    server: str = ""
    ledger: Ledger | None = field(default_factory=dict)
    pods: Mapping[str, Raw] = field(default_factory=dict)
    lease: Raw | None = None
    sessions: Mapping[str, int] | None = None
    unread: frozenset[str] = frozenset()
    gaps: tuple[str, ...] = ()


async def find_budget(kube: Kube, key: BudgetKey) -> Subject | None:
    """Return the PoolBudget as a subject, None if there is none."""
    budget = await _budget(kube, key)
    return Subject(key, budget) if budget else None


async def find_pod(kube: Kube, namespace: str, name: str, operator_namespace: str) -> Subject | None:
    """Return a labelled pod as a subject, or one that vanished and that a ledger still holds; None if there is neither.

    Raises `InputError` for a pod that carries no label of ours.
    """
    pod = await _found(kube, f"/api/v1/namespaces/{namespace}/pods/{name}")
    if pod is None:
        return await _find_vanished(kube, namespace, name, operator_namespace)
    if BUDGET_LABEL not in (pod["metadata"].get("labels") or {}):
        raise InputError(f"pod {namespace}/{name} carries no label {BUDGET_LABEL}: it has no part in a PoolBudget")
    key = budget_key(pod)
    return Subject(key, await _budget(kube, key), pod["metadata"]["uid"], pod)


async def read_picture(kube: Kube, subject: Subject, operator_namespace: str) -> Picture:
    """Read what belongs to a budget; raise `SpecError` if it is not valid, `LedgerCorruptError` for its ledger."""
    key, spec = subject.key, parse_budget(subject.budget) if subject.budget else None
    server = server_key(Budget(key, spec)) if spec else ""
    reader = _Reader(kube, operator_namespace)
    ledger = await reader.ledger(server) if server else {}
    lease = await reader.lease()
    pods = await reader.pods({key.namespace, *(entry.namespace for entry in (ledger or {}).values())})
    return Picture(
        key=key,
        budget=subject.budget,
        spec=spec,
        server=server,
        ledger=ledger,
        pods=pods | ({subject.uid: subject.pod} if subject.pod else {}),
        lease=lease,
        sessions=await reader.sessions(server, lease) if spec and spec.database else None,
        unread=frozenset(reader.unread),
        gaps=tuple(reader.gaps),
    )


class _Reader:
    """Reads one thing after another, and notes what it may not read."""

    def __init__(self, kube: Kube, operator_namespace: str) -> None:
        self._kube, self._namespace = kube, operator_namespace
        self.gaps: list[str] = []
        self.unread: set[str] = set()

    async def ledger(self, server: str) -> Ledger | None:
        try:
            return await LedgerStore(self._kube, self._namespace, server).read()
        except ApiError as error:
            self._note(error, "the ledger cannot be read: grants are those that pods show, without vanished pods")
            return None

    async def lease(self) -> Raw | None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases/{LEASE_NAME}"
        try:
            lease = await _found(self._kube, path)
        except ApiError as error:
            self._note(error, "who leads cannot be read")
            return None
        if lease is None:
            self.gaps.append(f"no operator has ever led in {self._namespace}: name its namespace, --operator-namespace")
        return lease

    async def pods(self, namespaces: Iterable[str]) -> dict[str, Raw]:
        """Return the labelled pods of these namespaces, by uid."""
        found: dict[str, Raw] = {}
        for namespace in sorted(namespaces):
            try:
                async for page in self._kube.pages(f"/api/v1/namespaces/{namespace}/pods", labelSelector=BUDGET_LABEL):
                    found |= {raw["metadata"]["uid"]: raw for raw in page["items"]}
            except ApiError as error:
                self._note(error, f"pods of {namespace} cannot be read")
                self.unread.add(namespace)
        return found

    async def sessions(self, server: str, lease: Raw | None) -> Mapping[str, int] | None:
        """Ask the leading operator, through the API server, what it last saw in the database."""
        holder = lease["spec"].get("holderIdentity") if lease else ""
        if not holder:
            return None
        pod = holder.rpartition("_")[0]
        try:
            sessions = await self._kube.get(f"/api/v1/namespaces/{self._namespace}/pods/{pod}/proxy/sessions")
        except ApiError as error:
            self.gaps.append(f"the operator cannot be asked for the sessions of each pod: {error.message or error}")
            return None
        return sessions.get(server)

    def _note(self, error: ApiError, consequence: str) -> None:
        if error.status != FORBIDDEN:
            raise error
        self.gaps.append(f"{consequence}: {error.message}")


async def _find_vanished(kube: Kube, namespace: str, name: str, operator_namespace: str) -> Subject | None:
    try:
        async for page in kube.pages(f"/api/v1/namespaces/{operator_namespace}/configmaps", labelSelector=LABEL):
            for ledger in page["items"]:
                for entry in decode(unpack(ledger)).values():
                    if (entry.namespace, entry.pod) == (namespace, name):
                        key = entry.workload.budget_key
                        return Subject(key, await _budget(kube, key), entry.uid)
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
    return None


async def _budget(kube: Kube, key: BudgetKey) -> Raw | None:
    try:
        return await _found(kube, f"/apis/{API_VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}")
    except ApiError as error:
        if error.status == NOT_FOUND:
            raise InputError(
                "this cluster does not know PoolBudgets: install PoolBudget, or use another context"
            ) from error
        raise


async def _found(kube: Kube, path: str) -> Raw | None:
    """Return an object, None if there is none; a 404 of another reason means that the API server lacks the kind."""
    try:
        return await kube.get(path)
    except ApiError as error:
        if error.status == NOT_FOUND and error.reason == "NotFound":
            return None
        raise
