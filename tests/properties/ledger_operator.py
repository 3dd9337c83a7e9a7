"""The operator of the ledger's model: the real plan and the real decision, between a cache that lags and single writes.

It follows `reconcile`, `observe.gather` and `act`: a round is begun on what the cache shows, and each of its writes is
applied, lost, or applied without an answer, one after another.
"""

from dataclasses import dataclass, field

from poolbudget.ledger.books import audit
from poolbudget.ledger.codec import decode, encode
from poolbudget.ledger.decide import Snapshot, decide
from poolbudget.ledger.model import Decision, Grant, Ledger, Pod
from poolbudget.ledger.modes import with_poolers_in_use
from poolbudget.ledger.release import restored
from poolbudget.ledger.unmanaged import charge, ungranted
from poolbudget.planning.model import ServerPlan
from tests.properties.ledger_world import World


@dataclass
class Store:
    """The ledger's object at the API server. `data` is None where there is none."""

    data: dict[str, str] | None = None
    version: int = 0

    @property
    def ledger(self) -> Ledger:
        return decode(self.data or {})

    def put(self, ledger: Ledger, seen: int | None) -> bool:
        """Replace the object if it is still at the version that the writer saw; None: there was none."""
        if seen != (None if self.data is None else self.version):
            return False
        self.data, self.version = encode(ledger), self.version + 1
        return True


@dataclass
class Operator:
    """One replica. `seen`: how far into the world's log its cache is; `known`: the ledger that it believes in."""

    world: World
    store: Store
    seen: int = 0
    cache: dict[str, Pod] = field(default_factory=dict)
    departed: dict[str, Pod] = field(default_factory=dict)
    gone: dict[str, Pod | None] = field(default_factory=dict)
    known: Ledger | None = None
    version: int | None = None
    round: Decision | None = None
    grants: list[Grant] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.relist()

    def restart(self) -> None:
        """Crash and come back: everything that was only in memory is lost."""
        self.__init__(self.world, self.store)  # type: ignore[misc]

    def watch(self, events: int) -> None:
        """Take in some of the changes that have happened."""
        for uid, now, last in self.world.log[self.seen : self.seen + events]:
            if now is not None:
                self.cache[uid] = now
            elif self.cache.pop(uid, None) is not None:
                self.departed[uid] = last
        self.seen = min(len(self.world.log), self.seen + events)

    def relist(self) -> None:
        """Take in the present state. Of what vanished unseen only an end is proven: all else may be an old state."""
        for uid in self.cache.keys() - self.world.listed.keys():
            if self.cache[uid].ended:
                self.departed[uid] = self.cache[uid]
        self.cache = self.world.listed
        self.seen = len(self.world.log)

    def read(self) -> Ledger:
        if self.known is None:
            self.version = None if self.store.data is None else self.store.version
            self.known = self.store.ledger
            if self.version is None:
                self.relist()
        return self.known

    def begin(self) -> tuple[ServerPlan, Decision]:
        """Observe, plan, decide: the writes that follow are open."""
        ledger = self.read()
        for uid in ledger:
            if uid not in self.cache and uid not in self.world.pods:
                self.gone.setdefault(uid, self.departed.get(uid))
        gone = {uid: last for uid, last in self.gone.items() if uid in ledger}
        boots = {ledger[uid].node: self.world.nodes.get(ledger[uid].node) for uid in gone if ledger[uid].node}
        sessions = self.world.sessions()
        plan = with_poolers_in_use(self.world.plan(), self.world.budgets, restored(ledger, self.cache))
        unmanaged = ungranted(self.cache.values(), ledger)
        books = audit(ledger, self.cache, sessions, unmanaged) if sessions else None
        specs = {budget.key: budget.spec for budget in self.world.budgets}
        self.round = decide(
            Snapshot(
                specs=specs,
                plan=plan,
                ledger=ledger,
                pods=dict(self.cache),
                gone=gone,
                sessions=sessions,
                elsewhere=books.elsewhere(plan.for_unnamed) if books else 0,
                boots=boots,
                unmanaged=charge(unmanaged, books.by_unmanaged if books else None, specs),
            )
        )
        self.grants = []
        return plan, self.round

    def write_ledger(self, outcome: str) -> None:
        """Write the ledger of the round; only a write that is known to have arrived opens the grants."""
        decision, self.round = self.round, None
        if decision is None:
            return
        if decision.ledger != self.known:
            known, self.known = decision.ledger, None
            written = outcome != "lost" and self.store.put(known, self.version)
            if outcome != "applied" or not written:
                return
            self.known, self.version = known, self.store.version
        self.grants = list(decision.grants)

    def write_pod(self, index: int, outcome: str) -> Grant | None:
        """Send one of the patches, in any order; return it if it is still on its way."""
        grant = self.grants.pop(index % len(self.grants))
        if outcome == "applied":
            self.world.patch(grant)
        return grant if outcome == "delayed" else None

    def run(self) -> None:
        """Run one whole round in which everything arrives."""
        self.begin()
        self.write_ledger("applied")
        while self.grants:
            self.write_pod(0, "applied")
