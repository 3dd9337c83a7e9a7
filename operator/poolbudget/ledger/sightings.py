"""What readings of `pg_stat_activity` prove over time: at which addresses no session has been for long enough.

`observe.gather` enters every reading; `ledger.release` believes that a pod has ended whose address has settled.
"""

from collections.abc import Iterable, Mapping

from poolbudget.ledger.books import PoolerPod
from poolbudget.ledger.model import Pod
from poolbudget.ledger.release import Sessions


class Sightings:
    """Remembers when each client address was last seen. All times are seconds of one clock that never goes back."""

    def __init__(self, settle_time: float) -> None:
        self._settle_time = settle_time
        self._seen: dict[str, float] = {}
        self._since: float | None = None
        self.shows_pods = False

    def interrupt(self) -> None:
        """Note that the server could not be read: what happened meanwhile is not known."""
        self._since = None

    def enter(
        self, backends: Mapping[str, int], own: Iterable[Pod | PoolerPod], addresses: Iterable[str], now: float
    ) -> Sessions:
        """Take in a reading; of `addresses`, those have settled that showed no backend all through the settle time.

        None has while no address of `own` pods was ever seen (`shows_pods`): addresses may be translated on the way.
        """
        telling = {pod.address for pod in own if pod.address != pod.host} - {""}
        self.shows_pods = self.shows_pods or not telling.isdisjoint(backends)
        if self._since is None:
            self._since = now
            self._seen.clear()
        self._seen.update(dict.fromkeys(backends, now))
        quiet_since = {address: max(self._seen.get(address, 0.0), self._since) for address in addresses}
        settled = {address for address, since in quiet_since.items() if now - since >= self._settle_time}
        return Sessions(backends, frozenset(settled if self.shows_pods else ()))
