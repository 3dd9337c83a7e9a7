"""The command `poolbudget`.

Each sub-command is imported only when it is used, so that `plan` starts without the operator.
"""

from importlib import import_module

import click

COMMANDS = {
    "plan": "poolbudget.cli.plan:plan",
    "explain": "poolbudget.cli.explain:explain",
    "profiles": "poolbudget.cli.profiles:profiles",
    "operator": "poolbudget.cli.operator:operator",
    "webhook": "poolbudget.cli.webhook:webhook",
    "forget": "poolbudget.cli.forget:forget",
    "release": "poolbudget.cli.release:release",
    "uninstall": "poolbudget.cli.uninstall:uninstall",
}
"""Where each sub-command stands: module:attribute."""


class LazyGroup(click.Group):
    """A group that imports a sub-command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all sub-commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a sub-command by name, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup)
@click.version_option(package_name="poolbudget")
def main() -> None:
    """Divide the connections of a Postgres server among the pods that use it."""
