"""Refuse what YAML allows and a manifest must not hold: endless nesting, aliases that blow up, fields that stand twice.

`cli.documents` takes its events through `checked_events` before it composes nodes, and calls `check_node` before it
builds values from them.
"""

from collections.abc import Iterable, Iterator

import yaml

MOST_DEPTH = 100

MOST_NODES = 1_000_000
"""Of one document with its aliases written out: far more than a PoolBudget of 1,000 workloads has."""


class NodeError(ValueError):
    """A document that is YAML and yet no manifest; the text says what to change."""


def checked_events(events: Iterable[yaml.Event]) -> Iterator[yaml.Event]:
    """Yield the events.

    Raise NodeError for nesting so deep that composing it would overflow the stack of libyaml's binding.
    """
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise NodeError(f"is nested more than {MOST_DEPTH} levels deep")
        yield event


def check_node(root: yaml.Node) -> None:
    """Raise NodeError for a document that must not be read."""
    sizes: dict[int, int] = {}
    _size(root, sizes, set())


def _size(node: yaml.Node, sizes: dict[int, int], open_nodes: set[int]) -> int:
    """Return how many nodes there are below, aliases written out."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in sizes:
        return sizes[id(node)]
    line = node.start_mark.line + 1
    if id(node) in open_nodes:
        raise NodeError(f"line {line}: an alias refers to the object that holds it: write the value out")
    open_nodes.add(id(node))
    size = 1 + sum(_size(child, sizes, open_nodes) for child in _children(node))
    open_nodes.remove(id(node))
    if size > MOST_NODES:
        raise NodeError(f"line {line}: aliases make more than {MOST_NODES} values of it: write fewer")
    sizes[id(node)] = size
    return size


def _children(node: yaml.Node) -> list[yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return list(node.value)
    names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise NodeError(f"line {node.start_mark.line + 1}: the field {twice!r} stands twice in one object: remove one")
    return [child for pair in node.value for child in pair]
