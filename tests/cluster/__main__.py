"""``python -m tests.cluster up|down|load|exec|status``: this checkout's cluster, for the Makefile's targets.

Given another cluster's kubeconfig (--kubeconfig or POOLBUDGET_KUBECONFIG), `exec` uses that one; `up` and `down` do
nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.cluster import cluster
from tests.cluster.console import ClusterError, say


def main() -> int:
    """Do what the command line says; exit code 2 and one message when it cannot be done."""
    arguments = parser().parse_args()
    try:
        if arguments.kubeconfig:
            with_other_cluster(arguments)
        else:
            with_own_cluster(arguments)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("interrupted; the next `up` or `down` clears away what was begun")
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m tests.cluster", description="A kind cluster for this checkout.")
    result.add_argument(
        "--kubeconfig",
        default=os.environ.get("POOLBUDGET_KUBECONFIG"),
        help="use this cluster in place of one of our own (default: $POOLBUDGET_KUBECONFIG)",
    )
    commands = result.add_subparsers(dest="action", required=True)
    commands.add_parser("up", help="make the cluster, or say that it is there")
    commands.add_parser("down", help="remove the cluster with everything that runs for it")
    commands.add_parser("status", help="print what the cluster is and how to reach it")
    load = commands.add_parser("load", help="load docker-archive tars into the cluster's nodes")
    load.add_argument("archives", nargs="+", type=Path, metavar="TAR")
    execute = commands.add_parser("exec", help="run a command where the cluster can be reached")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command, after --")
    return result


def with_own_cluster(arguments: argparse.Namespace) -> None:
    """Act on the cluster of this checkout."""
    match arguments.action:
        case "up":
            cluster.up()
        case "down":
            cluster.down()
        case "status":
            print(cluster.status())
        case "load":
            cluster.load(arguments.archives)
        case "exec":
            cluster.execute(command_of(arguments))


def with_other_cluster(arguments: argparse.Namespace) -> None:
    """Act on the cluster that the user named."""
    match arguments.action:
        case "up" | "down" | "status":
            say(f"using the cluster of {arguments.kubeconfig}; it is neither made nor removed here")
        case "load":
            raise ClusterError("images cannot be loaded into a cluster that is not ours: push them to its registry")
        case "exec":
            cluster.become(command_of(arguments), {"KUBECONFIG": arguments.kubeconfig})


def command_of(arguments: argparse.Namespace) -> list[str]:
    """The command to run, without the leading --."""
    words: list[str] = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not words:
        raise ClusterError("exec needs a command: python -m tests.cluster exec -- kubectl get pods -A")
    return words


if __name__ == "__main__":
    sys.exit(main())
