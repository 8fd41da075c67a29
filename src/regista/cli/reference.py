"""`docs/reference/cli.md`, made from the commands' own help.

Run `python -m regista.cli.reference` at the root of the repository after changing a command.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from regista.agent import write_page
from regista.cli.commands import main as regista
from regista.cli.options import TLS_OPTIONS

FILE = Path("docs/reference/cli.md")

_INTRODUCTION = """\
# The command line

<!-- Made by `python -m regista.cli.reference`; change the commands in src/regista/cli/ instead. -->

Commands that speak to an agent find it by `--http-addr`, then `REGISTA_HTTP_ADDR`, then `CONSUL_HTTP_ADDR`, then
at http://127.0.0.1:8500. They print tables for people, and with `--json` just what the server said, for programs.
An error goes to standard error, with exit code 1, or 2 for a command that was misspelled. An empty result is not
an error: it says so on standard error and exits with 0. Where Consul has the command, words and exit codes are
Consul's.

The address may be `http://…`, `https://…` or `unix:///path`. Over TLS these options, which every command that
speaks to an agent has, say what is trusted and shown:

"""


def render() -> str:
    """The whole page."""
    root = click.Context(regista, info_name="regista", terminal_width=100, color=False)
    return "\n".join((_INTRODUCTION + _tls_text(), *_sections(regista, root)))


def _tls_text() -> str:
    rows = "".join(f"| `--{name}` | `{variable}` | {text} |\n" for name, variable, text in TLS_OPTIONS)
    return f"""\
| Option | Environment | What it is |
| --- | --- | --- |
{rows}
Also understood from the environment: `CONSUL_HTTP_AUTH`, `user:password`; `CONSUL_HTTP_SSL`, true for an address
without a scheme that speaks TLS; `CONSUL_HTTP_SSL_VERIFY`, false to accept any certificate.
"""


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from _sections(
            child, click.Context(child, info_name=name, parent=context, terminal_width=100, color=False)
        )


def main() -> None:
    """Writes the page, below the working directory or to the file named as the argument."""
    write_page(render, file=FILE)


if __name__ == "__main__":
    main()
