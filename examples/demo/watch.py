"""Notes what labelled pods go through while a phase runs: at the gate or not, and what their condition says.

`phases` wraps the measured time in `watching`; `outcome.waits_of` makes sense of the notes.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from examples.demo.console import start
from examples.demo.outcome import Sighting

GRANTED = '.status.conditions[?(@.type=="poolbudget.dev/Granted")]'
FIELDS = (".metadata.name", ".spec.schedulingGates[*].name", f"{GRANTED}.reason", f"{GRANTED}.message")
LINE = '{"|"}'.join(f"{{{field}}}" for field in FIELDS) + '{"\\n"}'  # a watch turns tabs to spaces


@contextmanager
def watching() -> Iterator[list[Sighting]]:
    """Yield a list that grows with every change of a labelled pod until the block ends."""
    sightings: list[Sighting] = []
    words = ("get", "pods", "--selector=poolbudget.dev/budget", "--watch", f"--output=jsonpath={LINE}")
    with start(*words) as process:
        reader = threading.Thread(target=_note, args=(process.stdout or (), sightings))
        reader.start()
        try:
            yield sightings
        finally:
            process.terminate()
            reader.join()


def _note(lines: Iterable[str], sightings: list[Sighting]) -> None:
    for line in lines:
        pod, gates, reason, message = line.rstrip("\n").split("|", 3)
        sightings.append(Sighting(time.monotonic(), pod, bool(gates), reason, message))
