"""`poolbudget forget POD`: free what the ledger still holds for a pod that vanished without proof of its end."""

from typing import Any

import click

from poolbudget.act.ledger import LABEL
from poolbudget.cli.running import run
from poolbudget.kube import ApiError, Kube
from poolbudget.ledger.codec import decode, encode
from poolbudget.ledger.model import Reservation
from poolbudget.ledger.packing import pack, unpack


@click.command(short_help="Free what is held for a pod that vanished.")
@click.argument("pod")
@click.option("-n", "--namespace", default="default", show_default=True, help="Where the pod was.")
@click.option("--operator-namespace", default="poolbudget-system", show_default=True, help="Where the ledgers are.")
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="Default: as kubectl.")
def forget(pod: str, namespace: str, operator_namespace: str, kubeconfig: str | None) -> None:
    """Free the connections that are held for POD, which no longer exists.

    Do so only when you know that no process of it runs any more, on a node that is cut off, for instance: the operator
    holds them because it could not know.
    """
    run(_forget(namespace, pod, operator_namespace, kubeconfig))


async def _forget(namespace: str, pod: str, operator_namespace: str, kubeconfig: str | None) -> None:
    collection = f"/api/v1/namespaces/{operator_namespace}/configmaps"
    freed = 0
    async with Kube.connect(kubeconfig) as kube:
        living = await _living_uid(kube, namespace, pod)
        async for page in kube.pages(collection, labelSelector=LABEL):
            for ledger in page["items"]:
                freed += await _strike(
                    kube, f"{collection}/{ledger['metadata']['name']}", ledger, namespace, pod, living
                )
    if not freed:
        raise click.ClickException(
            f"no ledger holds anything for a vanished pod {namespace}/{pod}"
            + ("; the pod of that name exists: what it holds is freed when it ends" if living else "")
        )
    click.echo(f"{freed} connections that were held for {namespace}/{pod} are free")


async def _living_uid(kube: Kube, namespace: str, pod: str) -> str | None:
    try:
        return str((await kube.get(f"/api/v1/namespaces/{namespace}/pods/{pod}"))["metadata"]["uid"])
    except ApiError as error:
        if error.status == 404:
            return None
        raise


async def _strike(kube: Kube, path: str, ledger: dict[str, Any], namespace: str, pod: str, living: str | None) -> int:
    """Write the ledger without the vanished pod, if nobody changed it meanwhile; return the connections freed."""

    def is_meant(entry: Reservation) -> bool:
        return (entry.namespace, entry.pod) == (namespace, pod) and entry.uid != living

    entries = decode(unpack(ledger))
    struck = [entry for entry in entries.values() if is_meant(entry)]
    if struck:
        kept = {uid: entry for uid, entry in entries.items() if not is_meant(entry)}
        await kube.put(path, {"apiVersion": "v1", "kind": "ConfigMap", **ledger, **pack(encode(kept))})
    return sum(entry.connections for entry in struck)
