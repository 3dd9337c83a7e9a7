"""Autoscalers, disruption budgets and replica counts that ask for more pods than a workload may have.

`observe.caches` and `cli.manifests` read the objects with `autoscaler_wishes` and `disruption_wish`; `planning.sizing`
asks `exceeding` for what the status of the workload says of them.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from poolbudget.api.v1alpha1 import LabelSelector
from poolbudget.planning.fields import at
from poolbudget.planning.model import Target, Wish
from poolbudget.planning.targets import autoscaler_max

MOST_NAMED = 3
REPLICATED = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "Rollout"})
CONSEQUENCES = {"minAvailable": "none of its pods can ever be evicted"}


def autoscaler_wishes(manifest: Mapping[str, Any]) -> tuple[Wish, ...]:
    """Return what a HorizontalPodAutoscaler or a KEDA ScaledObject asks for, the least first."""
    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    count = "ReplicaCount" if manifest["kind"] == "ScaledObject" else "Replicas"
    least = at(manifest, f"spec.min{count}")
    asked = (Wish(name, f"min{count}", least),) if isinstance(least, int) else ()
    return (*asked, Wish(name, f"max{count}", autoscaler_max(manifest)))


def disruption_wish(manifest: Mapping[str, Any]) -> tuple[LabelSelector, Wish] | None:
    """Return which pods a PodDisruptionBudget keeps available, and how many.

    None where it speaks of a share of the pods, or of those that may be missing: then it follows their number.
    """
    least, selector = at(manifest, "spec.minAvailable"), at(manifest, "spec.selector")
    if not isinstance(least, int) or not isinstance(selector, Mapping):
        return None
    try:
        parsed = LabelSelector.model_validate(selector)
    except ValidationError:
        return None
    return parsed, Wish(f"PodDisruptionBudget {manifest['metadata']['name']}", "minAvailable", least)


def exceeding(target: Target | None, max_pods: int | None, safe: int | None, *, fits: bool) -> str:
    """Return who asks for more pods than `maxPods` or, where the floors do not fit, than would fit; empty if nobody.

    `safe` is the workload's safeMaxReplicas; where it is 0, no number of pods would fit.
    """
    if fits and max_pods is not None:
        limit, name, remedy = max_pods, "maxPods", ", or raise maxPods"
    elif not fits and safe:
        limit, name, remedy = safe, "safeMaxReplicas", ""
    else:
        return ""
    asked = _wishes(target) if target else ()
    beyond = {wish.name: wish for wish in reversed(asked) if wish.pods > limit}
    said = [_say(wish, limit, name, remedy) for wish in reversed(list(beyond.values())[-MOST_NAMED:])]
    return "; ".join(said)


def _wishes(target: Target) -> tuple[Wish, ...]:
    """Return how many pods all concerned ask for. Where an autoscaler sets the replicas, the controller has no say."""
    scaled = any(wish.field != "minAvailable" for wish in target.wishes)
    if scaled or target.key.kind not in REPLICATED:
        return target.wishes
    return (Wish(f"{target.key.kind} {target.key.name}", "replicas", target.desired), *target.wishes)


def _say(wish: Wish, limit: int, name: str, remedy: str) -> str:
    consequence = CONSEQUENCES.get(wish.field, "the pods beyond it wait")
    return f"{wish.name}: {wish.field} {wish.pods} is above {name} {limit}, {consequence}: lower it to {limit}{remedy}"
