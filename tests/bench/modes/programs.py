"""Programs that run inside a pod for the time of one measurement. `cell` starts and ends them.

Starting a pod for each would take longer than what is measured, so the pods are there before, and kubectl runs the
program in them. It ends when kubectl's stdin does: also when this process is killed nothing goes on.
"""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from tests.functional.space import Raw

UNTIL_STDIN_ENDS = '"$@" & program=$!; cat > /dev/null; kill -TERM "$program"; wait "$program"'
BEGUN = "begun"
"""The last word of the first line on stderr, once the program is at work."""


class ProgramError(Exception):
    """A program did not do what it is for; the text is what it said."""


@dataclass
class Program:
    """A program for `async with`: within, it is at work. `end` returns the JSON line that it prints in the end."""

    namespace: str
    pod: str
    command: tuple[str, ...]
    _process: Process | None = None

    async def __aenter__(self) -> "Program":
        words = ("exec", "-i", "-n", self.namespace, self.pod, "--", "sh", "-c", UNTIL_STDIN_ENDS, "sh", *self.command)
        process = await asyncio.create_subprocess_exec("kubectl", *words, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        self._process = process
        assert process.stderr
        line = (await process.stderr.readline()).decode()
        if not line.rstrip().endswith(BEGUN):
            _, rest = await process.communicate(b"")
            raise ProgramError(f"{self.pod}: {line}{rest.decode()}")
        return self

    async def end(self) -> Raw:
        """Tell the program to end, and return what it printed."""
        assert self._process
        stdout, stderr = await self._process.communicate(b"")  # which closes stdin
        if self._process.returncode:
            raise ProgramError(f"{self.pod}: {stderr.decode()}")
        line: Raw = json.loads(stdout.splitlines()[-1])
        return line

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()
