"""How the ledger is written down: one line per pod in the data of a ConfigMap, keyed by the pod's uid.

    7f2c…: 32 shop/api-7c9d shop/orders-db/api kind-worker 10.244.0.7

`32?` are connections of a pod that was sent to a pooler and has not been seen behind it yet. Only the line of a pod
that vanished without proof of its end has a sixth word: the instance and boot of its node then.
Plain words, because people read it with kubectl; short, because 5,000 of them must fit in one object (1 MiB).
`act.ledger` reads and writes the object.
"""

from collections.abc import Mapping

from poolbudget.ledger.model import Ledger, Reservation
from poolbudget.planning.model import BudgetKey, WorkloadKey

_ABSENT = "-"
_UNSEEN = "?"


class LedgerCorruptError(Exception):
    """The ledger holds what this version did not write: nothing is granted until a person has looked at it."""


def encode(ledger: Ledger) -> dict[str, str]:
    """Return the `data` of the ConfigMap."""
    return {uid: _line(reservation) for uid, reservation in sorted(ledger.items())}


def decode(data: Mapping[str, str]) -> dict[str, Reservation]:
    """Read the `data` of the ConfigMap; raise `LedgerCorruptError` rather than forget a reservation."""
    return {uid: _reservation(uid, line) for uid, line in data.items()}


def encode_poolers(charged: Mapping[BudgetKey, int]) -> str:
    """Return in one line what poolers are charged: `shop/orders=40 shop/stock=8`."""
    return " ".join(f"{key}={connections}" for key, connections in sorted(charged.items()))


def decode_poolers(text: str) -> dict[BudgetKey, int]:
    """Read what `encode_poolers` wrote; raise `LedgerCorruptError` rather than forget a charge."""
    charged = {}
    for word in text.split():
        namespace, _, rest = word.partition("/")
        name, _, connections = rest.partition("=")
        if not (namespace and name and connections.isdecimal()):
            raise LedgerCorruptError(f"the annotation of poolers has {word!r} where namespace/budget=number is written")
        charged[BudgetKey(namespace, name)] = int(connections)
    return charged


def _line(r: Reservation) -> str:
    charged = f"{r.connections}{_UNSEEN if r.unseen else ''}"
    words = (charged, f"{r.namespace}/{r.pod}", str(r.workload), r.node or _ABSENT, r.address or _ABSENT)
    return " ".join((*words, r.boot) if r.boot else words)


def _reservation(uid: str, line: str) -> Reservation:
    try:
        connections, pod, workload, node, address, *boot = line.split(" ")
        namespace, name = pod.split("/")
        reservation = Reservation(
            uid=uid,
            connections=int(connections.removesuffix(_UNSEEN)),
            namespace=namespace,
            pod=name,
            workload=WorkloadKey(*workload.split("/")),
            node="" if node == _ABSENT else node,
            address="" if address == _ABSENT else address,
            boot="".join(boot[:1]),
            unseen=connections.endswith(_UNSEEN),
        )
        if boot[1:]:
            raise ValueError(boot)
    except (ValueError, TypeError) as error:
        raise LedgerCorruptError(
            f"entry {uid}: {line!r} is not 'connections pod workload node address [boot]'"
        ) from error
    if reservation.connections < 0:
        raise LedgerCorruptError(f"entry {uid}: {connections} connections")
    return reservation
