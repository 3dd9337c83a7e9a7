"""Find an option in the arguments of a program without knowing all of its other options.

Called by the sources of `servers`.
"""

import re
from collections.abc import Sequence

from poolbudget.detection.environment import UNREADABLE


def occurrences(arguments: Sequence[str], names: Sequence[str], switches: str = "") -> list[str]:
    """Return the value of every occurrence of an option, in order; a switch has whatever follows it.

    `names` are its spellings (`-w`, `--workers`): `-w 4`, `-w4`, `-w=4`, `--workers 4`, `--workers=4`, and the
    abbreviations that argparse and getopt accept. `switches` are the letters that may stand before `w` in `-Rw4`.
    An argument that cannot be read may be this very option, unless it is the value of the option before it.
    """
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    neighbours = zip(("", *options), options, (*options[1:], ""), strict=False)
    found: list[str] = []
    for previous, argument, following in neighbours:
        if argument.startswith(UNREADABLE) and not _takes_next(previous):
            found.append(UNREADABLE)
        elif argument.startswith("-"):
            found += (value for name in names if (value := _value(name, argument, following, switches)) is not None)
    return found


def _value(name: str, argument: str, following: str, switches: str) -> str | None:
    if name.startswith("--"):
        spelling, equals, value = argument.partition("=")
        if len(spelling) < len("--w") or not name.startswith(spelling):
            return None
        return value if equals else following
    attached = re.fullmatch(f"-[{switches}]*{name[1]}=?(.*)" if switches else f"{name}=?(.*)", argument)
    return attached and (attached[1] or following)


def _takes_next(argument: str) -> bool:
    return argument.startswith("-") and "=" not in argument
