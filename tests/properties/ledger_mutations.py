"""Ways to break the decisions on purpose: `test_ledger_mutations` shows that the model catches each of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from poolbudget.api.v1alpha1 import WorkloadMode
from poolbudget.ledger import decide, grant, release
from poolbudget.ledger.books import Books
from poolbudget.ledger.grant import Claim
from poolbudget.ledger.model import Decision, Grant, Ledger, Pod, Reservation, Wait
from poolbudget.ledger.release import Evidence
from poolbudget.ledger.room import Room
from poolbudget.planning.model import ServerPlan, WorkloadKey, WorkloadPlan
from tests.properties.ledger_operator import Operator, Store

Mutation = Callable[[pytest.MonkeyPatch], None]

grant_one, remaining, claims = grant.grant_one, release._remaining, grant.claims


def forgets_what_it_granted_in_the_same_round(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Room, "take", lambda room, key, connections: None)


def keeps_free_room_for_what_others_lack(patch: pytest.MonkeyPatch) -> None:
    def for_scale_up(room: Room) -> int:
        lacking = (max(0, plan.peak - room.pods(key)) * plan.per_pod for key, plan in room._plans.items() if plan.fits)
        return room._free - sum(lacking) + 1

    patch.setattr(Room, "for_scale_up", for_scale_up)


def keeps_no_rollout_slot_to_use(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Room, "slot_is_free", lambda room, key: False)


def grants_below_the_floor(patch: pytest.MonkeyPatch) -> None:
    def below(claim: Claim, room: Room) -> Grant | Wait:
        return grant_one(replace(claim, floor=0), room)

    patch.setattr(decide, "grant_one", below)


def sizes_pods_by_the_plan_not_by_their_own_spec(patch: pytest.MonkeyPatch) -> None:
    def planned(*arguments: object) -> list[Claim | Wait]:
        made = claims(*arguments)  # type: ignore[arg-type]
        return [replace(c, processes=c.plan.processes or 1) if isinstance(c, Claim) else c for c in made]

    patch.setattr(decide, "claims", planned)


def repeats_a_grant_with_the_plan_of_today(patch: pytest.MonkeyPatch) -> None:
    def today(claim: Claim, reserved: Reservation, specs: object) -> Grant:
        return Grant(claim.pod, claim.bound(claim.plan.share), claim.plan.share)

    patch.setattr(decide, "_repeat", today)


def treats_vanished_as_ended(patch: pytest.MonkeyPatch) -> None:
    def proven(reservation: Reservation, pod: Pod | None, known: Evidence) -> Reservation | None:
        return None if reservation.uid in known.gone else remaining(reservation, pod, known)

    patch.setattr(release, "_remaining", proven)


def treats_unseen_as_gone(patch: pytest.MonkeyPatch) -> None:
    def proven(reservation: Reservation, pod: Pod | None, known: Evidence) -> Reservation | None:
        return None if pod is None else remaining(reservation, pod, known)

    patch.setattr(release, "_remaining", proven)


def takes_a_node_that_is_there_for_booted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release, "_ended_with_its_node", lambda reservation, boots: reservation.node in boots)


def notes_the_boot_of_a_node_while_the_pod_exists(patch: pytest.MonkeyPatch) -> None:
    """By what the API server knows when the ledger is read: the pod may be started again after the next boot."""
    begin = Operator.begin

    def early(operator: Operator) -> tuple[ServerPlan, Decision]:
        ledger, nodes = operator.read(), operator.world.nodes
        operator.known = {uid: replace(r, boot=r.boot or nodes.get(r.node, "")) for uid, r in ledger.items()}
        return begin(operator)

    patch.setattr(Operator, "begin", early)


def never_believes_that_a_node_has_booted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release, "_ended_with_its_node", lambda reservation, boots: False)


def forgets_sessions_that_a_lost_node_left(patch: pytest.MonkeyPatch) -> None:
    def at_once(reservation: Reservation, pod: Pod | None, known: Evidence) -> Reservation | None:
        ended = pod is None and reservation.uid in known.gone and release._ended_with_its_node(reservation, known.boots)
        return None if ended else remaining(reservation, pod, known)

    patch.setattr(release, "_remaining", at_once)


def forgets_what_outlives_a_container(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Books, "elsewhere", lambda books, unnamed: max(0, books.strangers - unnamed))


def forgets_what_a_pod_opens_outside_its_pools(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WorkloadPlan, "bound", lambda plan, processes, share: processes * share)


def takes_removed_labels_for_a_deletion(patch: pytest.MonkeyPatch) -> None:
    begin = Operator.begin

    def hasty(operator: Operator) -> tuple[ServerPlan, Decision]:
        for uid in operator.read().keys() & operator.world.hidden & operator.world.pods.keys():
            operator.departed[uid] = operator.gone[uid] = replace(operator.world.pods[uid], ended=True)
        return begin(operator)

    patch.setattr(Operator, "begin", hasty)


def charges_nothing_for_pods_without_a_grant(patch: pytest.MonkeyPatch) -> None:
    def without(plan: ServerPlan, ledger: Ledger, elsewhere: int, _: object, rolled: WorkloadKey | None) -> Room:
        return Room(plan, ledger, elsewhere, (), rolled)

    patch.setattr(decide, "Room", without)


def divides_each_budget_as_if_it_were_alone(patch: pytest.MonkeyPatch) -> None:
    room = Room.__init__

    def alone(self: Room, plan: ServerPlan, ledger: Ledger, elsewhere: int, *others: object) -> None:
        newest = max((key.budget for key in plan.workloads), default="")
        own = {uid: entry for uid, entry in ledger.items() if entry.workload.budget == newest}
        room(self, plan, own, elsewhere, *others)  # type: ignore[arg-type]

    patch.setattr(Room, "__init__", alone)


def takes_terminating_for_ended(patch: pytest.MonkeyPatch) -> None:
    watch = Operator.watch

    def hasty(operator: Operator, events: int) -> None:
        watch(operator, events)
        operator.cache = {uid: replace(pod, ended=pod.ended or pod.deleting) for uid, pod in operator.cache.items()}

    patch.setattr(Operator, "watch", hasty)


def forgets_backends_that_outlive_their_pod(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release, "_backends_left", lambda reservation, sessions: None)


def never_releases(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release, "_remaining", lambda reservation, pod, known: reservation)


def does_not_restore_a_deleted_ledger(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "restored", lambda ledger, pods: ledger)


def grants_before_the_ledger_is_written(patch: pytest.MonkeyPatch) -> None:
    write_ledger = Operator.write_ledger

    def first(operator: Operator, outcome: str) -> None:
        for early in operator.round.grants if operator.round else ():
            operator.world.patch(early)
        write_ledger(operator, outcome)

    patch.setattr(Operator, "write_ledger", first)


def ignores_that_another_wrote_the_ledger(patch: pytest.MonkeyPatch) -> None:
    put = Store.put

    def force(store: Store, ledger: Ledger, seen: int | None) -> bool:
        return put(store, ledger, None if store.data is None else store.version)

    patch.setattr(Store, "put", force)


def believes_what_its_cache_held_before_a_relist(patch: pytest.MonkeyPatch) -> None:
    relist = Operator.relist

    def believe(operator: Operator) -> None:
        vanished = {uid: pod for uid, pod in operator.cache.items() if uid not in operator.world.pods}
        relist(operator)
        operator.departed |= vanished

    patch.setattr(Operator, "relist", believe)


def lends_what_poolers_may_take(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ServerPlan, "for_poolers", 0)


def lends_the_room_of_pods_that_were_moved_before_they_end(patch: pytest.MonkeyPatch) -> None:
    room = Room.__init__

    def hasty(self: Room, plan: ServerPlan, ledger: Ledger, elsewhere: int, *others: object) -> None:
        direct = {key for key, workload in plan.workloads.items() if workload.mode is WorkloadMode.DIRECT}
        left = {uid: e if e.workload in direct else replace(e, connections=0) for uid, e in ledger.items()}
        room(self, plan, left, elsewhere, *others)  # type: ignore[arg-type]

    patch.setattr(Room, "__init__", hasty)


def charges_nothing_for_a_pod_that_connects_directly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(grant, "_behind_pooler", lambda claim, *_: Grant(claim.pod, 0, claim.share, WorkloadMode.DIRECT))


MUTATIONS: list[Mutation] = [
    forgets_what_it_granted_in_the_same_round,
    keeps_free_room_for_what_others_lack,
    keeps_no_rollout_slot_to_use,
    grants_below_the_floor,
    sizes_pods_by_the_plan_not_by_their_own_spec,
    repeats_a_grant_with_the_plan_of_today,
    treats_vanished_as_ended,
    treats_unseen_as_gone,
    takes_a_node_that_is_there_for_booted,
    notes_the_boot_of_a_node_while_the_pod_exists,
    never_believes_that_a_node_has_booted,
    forgets_sessions_that_a_lost_node_left,
    takes_terminating_for_ended,
    takes_removed_labels_for_a_deletion,
    forgets_what_outlives_a_container,
    forgets_what_a_pod_opens_outside_its_pools,
    charges_nothing_for_pods_without_a_grant,
    divides_each_budget_as_if_it_were_alone,
    forgets_backends_that_outlive_their_pod,
    never_releases,
    does_not_restore_a_deleted_ledger,
    grants_before_the_ledger_is_written,
    ignores_that_another_wrote_the_ledger,
    believes_what_its_cache_held_before_a_relist,
]
POOLER_MUTATIONS: list[Mutation] = [
    lends_what_poolers_may_take,
    lends_the_room_of_pods_that_were_moved_before_they_end,
    charges_nothing_for_a_pod_that_connects_directly,
]
"""Looked for where every budget has a pooler."""
