"""`poolbudget profiles`: the applications whose variables are known, and the lines that a workload needs for one."""

from importlib.resources import files

import click

from poolbudget.detection.profiles import fragment, parse_profiles


@click.command(short_help="List the applications whose variables are known.")
@click.argument("application", required=False)
def profiles(application: str | None) -> None:
    """List the applications whose variables are known, or print the lines that a workload needs for APPLICATION."""
    catalogue = parse_profiles((files("poolbudget.detection") / "profiles.yaml").read_text(encoding="utf-8"))
    if application is None:
        for name, profile in catalogue.items():
            click.echo(f"{name:<16}{profile.version:<10}{profile.status}")
    elif application in catalogue:
        click.echo(fragment(application, catalogue[application]), nl=False)
    else:
        raise click.UsageError(f"{application!r} is not known: write one of {', '.join(catalogue)}, or give env.names")
