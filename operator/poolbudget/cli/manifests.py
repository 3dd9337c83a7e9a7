"""Turn documents into what planning takes: budgets in the order of the input, and the targets that they name.

`cli.plan` calls `load`. Kinds that have no say in a plan are skipped; everything else must be valid, and every
problem found is reported, each in one line that names file, document, object and field.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from poolbudget.api.parse import SpecError, parse_budget
from poolbudget.api.v1alpha1 import API_VERSION, GROUP, KIND
from poolbudget.cli.documents import Document, Place, Problem, read
from poolbudget.planning.fields import FieldError, mapping, text
from poolbudget.planning.model import Budget, BudgetKey, Target, TargetKey, Wish
from poolbudget.planning.replicas import autoscaler_wishes, disruption_wish
from poolbudget.planning.selectors import selects
from poolbudget.planning.targets import autoscaler_key, autoscaler_max, parse_target

GROUPS: Mapping[str, str] = {
    "Deployment": "apps",
    "StatefulSet": "apps",
    "DaemonSet": "apps",
    "ReplicaSet": "apps",
    "Job": "batch",
    "CronJob": "batch",
    "HorizontalPodAutoscaler": "autoscaling",
    "Rollout": "argoproj.io",
    "Service": "serving.knative.dev",
    "ScaledObject": "keda.sh",
    "ScaledJob": "keda.sh",
    "PodDisruptionBudget": "policy",
}
"""By kind: the API group of the objects that count. A Service of the core group does not."""

OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
"""What the API server takes for a name (RFC 1123), but for dots that follow each other."""

DISRUPTION_BUDGET = "PodDisruptionBudget"
AUTOSCALERS = frozenset({"HorizontalPodAutoscaler", "ScaledObject"})


@dataclass(frozen=True, slots=True)
class Named:
    """One object of the input with its identity."""

    place: Place
    kind: str
    namespace: str
    name: str
    content: Mapping[str, Any]

    def problem(self, path: str, message: str) -> Problem:
        """Return a problem with one field of the object."""
        text = f"{self.place}: {self.kind} {self.namespace}/{self.name}: {path}: {message}"
        return Problem(text, self.place.file, self.place.line)


@dataclass(slots=True)
class Manifests:
    """Everything that was read. `budgets` and `sources` are in the order of the input."""

    budgets: list[Budget] = field(default_factory=list)
    sources: dict[BudgetKey, Named] = field(default_factory=dict)
    targets: dict[TargetKey, Target] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def load(paths: Iterable[str]) -> Manifests:
    """Read files, directories and stdin; `problems` says what must change before anything can be planned."""
    found = Manifests()
    objects = _objects(paths, found.problems)
    maxima = _autoscaler_maxima([o for o in objects if o.kind in AUTOSCALERS], found.problems)
    for named in objects:
        if named.kind == KIND:
            _add_budget(named, found)
        elif named.kind not in {*AUTOSCALERS, DISRUPTION_BUDGET}:
            _add_target(named, maxima, found)
    if not found.problems:
        _add_wishes(objects, found)
    return found


def _objects(paths: Iterable[str], problems: list[Problem]) -> list[Named]:
    """Return the objects that count, and note as problems what cannot be told apart."""
    objects: dict[tuple[str, str, str], Named] = {}
    for document in read(paths):
        try:
            named = _named(document)
        except Problem as problem:
            problems.append(problem)
            continue
        if named is None:
            continue
        first = objects.setdefault((named.kind, named.namespace, named.name), named)
        if first is not named:
            problems.append(named.problem("metadata.name", f"is also the name of the one in {first.place}: remove one"))
    return list(objects.values())


def _named(document: Document | Problem) -> Named | None:
    """Return the object with its identity; None for what has no say in a plan."""
    if isinstance(document, Problem):
        raise document
    content, place = document.content, document.place
    try:
        kind = text(content, "kind", "", "kind")
        api_version = text(content, "apiVersion", "", "apiVersion")
        if not _counts(kind, api_version):
            return None
        metadata = mapping(content, "metadata")
        if metadata.get("generateName") and not metadata.get("name"):
            return None
        name = text(metadata, "name", "", "metadata.name")
        if not OBJECT_NAME.fullmatch(name):
            raise FieldError("metadata.name", f"{name!r} is no name: write lowercase letters, digits, '-' and '.' only")
        return Named(place, kind, text(metadata, "namespace", "default", "metadata.namespace"), name, content)
    except FieldError as error:
        raise Problem(f"{place}: {error.path}: {error.message}", place.file, place.line) from error


def _counts(kind: str, api_version: str) -> bool:
    group = api_version.rpartition("/")[0]
    if kind == KIND or group == GROUP:
        if kind != KIND:
            raise FieldError("kind", f"{kind!r} is not of the group {GROUP}: write {KIND}")
        if api_version != API_VERSION:
            raise FieldError("apiVersion", f"{api_version!r} has no {KIND}: write {API_VERSION}")
        return True
    return GROUPS.get(kind) == group


def _autoscaler_maxima(autoscalers: Iterable[Named], problems: list[Problem]) -> dict[TargetKey, int]:
    maxima: dict[TargetKey, int] = {}
    for named in autoscalers:
        try:
            key, most = autoscaler_key(named.content), autoscaler_max(named.content)
        except FieldError as error:
            problems.append(named.problem(error.path, error.message))
            continue
        maxima[key] = max(most, maxima.get(key, 0))
    return maxima


def _add_wishes(objects: Iterable[Named], found: Manifests) -> None:
    """Note how many pods autoscalers and disruption budgets ask of the targets."""
    for named in objects:
        try:
            asked = _wishes(named, found.targets) if named.kind in {*AUTOSCALERS, DISRUPTION_BUDGET} else {}
        except FieldError as error:
            found.problems.append(named.problem(error.path, error.message))
            continue
        for key, wishes in asked.items():
            found.targets[key] = replace(found.targets[key], wishes=(*found.targets[key].wishes, *wishes))


def _wishes(named: Named, targets: Mapping[TargetKey, Target]) -> dict[TargetKey, tuple[Wish, ...]]:
    if named.kind != DISRUPTION_BUDGET:
        key = autoscaler_key(named.content)
        return {key: autoscaler_wishes(named.content)} if key in targets else {}
    if (found := disruption_wish(named.content)) is None:
        return {}
    selector, wish = found
    here = (target for target in targets.values() if target.key.namespace == named.namespace and target.labels)
    return {target.key: (wish,) for target in here if selects(selector, target.labels)}


def _add_budget(named: Named, found: Manifests) -> None:
    try:
        spec = parse_budget(named.content)
    except SpecError as error:
        found.problems.extend(named.problem(path, message) for path, message in error.problems)
        return
    key = BudgetKey(named.namespace, named.name)
    # Offline, the order of the input stands for age.
    found.budgets.append(Budget(key, spec, created=f"{len(found.budgets):09}"))
    found.sources[key] = named


def _add_target(named: Named, maxima: Mapping[TargetKey, int], found: Manifests) -> None:
    key = TargetKey(named.kind, named.namespace, named.name)
    try:
        found.targets[key] = parse_target(named.content, maxima.get(key))
    except FieldError as error:
        found.problems.append(named.problem(error.path, error.message))
