"""What a person does about pods that vanished while nobody could read it: tests of outages call it at their end."""

from functools import partial

from tests.functional.cluster import poolbudget
from tests.functional.space import Raw, Space, is_gated, is_wanted, notice


async def forget_the_vanished(space: Space, *, wanted: int) -> None:
    """Do as the waiting pods of `api` ask: a deletion that nobody could read is no proof of an end.

    It may have got lost with an etcd, with a watch that broke, or with the answer to a grant.
    """
    pods = await space.until(
        "Pod",
        partial(_are_explained, wanted),
        what=f"{wanted} pods are there, and those that wait say why",
        seconds=60,
    )
    present = {pod["metadata"]["uid"] for pod in pods}
    for uid, entry in (await space.ledger()).items():
        if uid not in present:
            await poolbudget("forget", entry.pod, "-n", space.name)


def _are_explained(wanted: int, pods: list[Raw]) -> bool:
    mine = [pod for pod in pods if is_wanted(pod) and pod["metadata"].get("labels", {}).get("app") == "api"]
    return len(mine) == wanted and all(notice(pod).get("reason") for pod in mine if is_gated(pod))
