"""`poolbudget profiles`: the applications whose variables are known, from `detection.profiles`."""

import click

from poolbudget.detection.profiles import Profile, catalogue


@click.command(short_help="List the applications whose variables are known.")
@click.argument("application", required=False)
def profiles(application: str | None) -> None:
    """List the applications whose variables are known, or print the lines that a workload needs for APPLICATION."""
    known = catalogue()
    if application is None:
        for name, profile in known.items():
            click.echo(f"{name:<16}{profile.version:<10}{profile.status}")
    elif application in known:
        click.echo(fragment(application, known[application]), nl=False)
    else:
        raise click.UsageError(f"{application!r} is not known: write one of {', '.join(known)}, or give env.names")


def fragment(application: str, profile: Profile) -> str:
    """Return the lines of `spec.workloads[]` for an application, with what to know about them as comments."""
    remarks = [
        f"{application} {profile.version}, checked: {profile.status}.",
        f"Processes of a pod: {profile.processes}.",
        *([f"Each opens {profile.pools} equal pools, among which its share is divided."] if profile.pools > 1 else []),
        *(f'The pod template must set {name} to "{value}".' for name, value in profile.requires.items()),
        *profile.remarks,
    ]
    return "".join(f"# {remark}\n" for remark in remarks) + f"env:\n  profile: {application}\n"
