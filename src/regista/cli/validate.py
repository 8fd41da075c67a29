"""`regista validate`: whether an agent would start with these files."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from regista.agent import Reading, check_definitions, load_config
from regista.cli.failures import Failed
from regista.model import ConfigError


@click.command(
    epilog="\b\nExamples:\n  regista validate /etc/regista\n  regista validate --config-format hcl agent.conf"
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="Print nothing if all is well.")
@click.option(
    "--config-format", type=click.Choice(["json", "hcl"]), help="What is in the files. Default: by their suffix."
)
@click.option("--allow-unknown-keys", is_flag=True, help="A key that is not known is a warning.")
@click.option(
    "--enable-script-checks", is_flag=True, help="The agent will run script checks, though no FILE says so."
)
def validate(
    files: tuple[Path, ...],
    *,
    quiet: bool,
    config_format: str | None,
    allow_unknown_keys: bool,
    enable_script_checks: bool,
) -> None:
    """Check configuration FILEs, or directories of them. They are read together, as by an agent."""
    said = [({"enable_local_script_checks": True}, "--enable-script-checks")] if enable_script_checks else []
    try:
        config = load_config(
            flags={"config_file": files},
            environ={},
            hostname=socket.gethostname(),
            reading=Reading(last=said, file_format=config_format or "", is_lenient=allow_unknown_keys),
        )
        warnings = (*config.warnings, *check_definitions(config))
    except ConfigError as error:
        raise Failed(f"Config validation failed: {error}") from error
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    if not quiet:
        click.echo("Configuration is valid!")
