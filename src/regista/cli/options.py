"""The options that many commands share: which agent is asked, as whom, and how the answer is shown."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from regista.cli.client import AgentClient
from regista.cli.transport import DEFAULT_ADDRESS, TlsOptions, credentials

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print what the server said.")

TLS_OPTIONS: tuple[tuple[str, str, str], ...] = (
    ("ca-file", "CONSUL_CACERT", "A file with the certificates of those that sign servers' certificates."),
    ("ca-path", "CONSUL_CAPATH", "A directory of such files."),
    ("client-cert", "CONSUL_CLIENT_CERT", "A file with the certificate that this program shows."),
    ("client-key", "CONSUL_CLIENT_KEY", "A file with its key."),
    ("tls-server-name", "CONSUL_TLS_SERVER_NAME", "The name that the server's certificate must be for."),
)
"""Name, environment and meaning. Every command that speaks to an agent has them; its help leaves them out, for
they are the same everywhere, and docs/reference/cli.md has them once."""

_WORDS_FOR_TRUE = frozenset(("1", "t", "true"))
_WORDS_FOR_FALSE = frozenset(("0", "f", "false"))


def agent_options(command: Callable[..., R]) -> Callable[..., R]:
    """Gives a command the options that name an agent, and the client for it as the first argument."""

    @_address_options
    @_tls_options
    @functools.wraps(command)
    def with_client(*args: Any, **options: Any) -> R:
        return command(_take_client(options), *args, **options)

    return with_client


def _address_options(command: F) -> F:
    for option in (
        click.option("--stale", is_flag=True, help="Any server may answer, even one cut off from the others."),
        click.option(
            "--datacenter", default="", metavar="NAME", help="The datacenter to ask. Default: the agent's own."
        ),
        click.option(
            "--token-file",
            envvar=["REGISTA_HTTP_TOKEN_FILE", "CONSUL_HTTP_TOKEN_FILE"],
            default="",
            metavar="PATH",
            help="A file with the access token. Default: REGISTA_HTTP_TOKEN_FILE or CONSUL_HTTP_TOKEN_FILE.",
        ),
        click.option(
            "--token",
            envvar=["REGISTA_HTTP_TOKEN", "CONSUL_HTTP_TOKEN"],
            default="",
            metavar="TEXT",
            help="The access token. Default: REGISTA_HTTP_TOKEN or CONSUL_HTTP_TOKEN.",
        ),
        click.option(
            "--http-addr",
            envvar=["REGISTA_HTTP_ADDR", "CONSUL_HTTP_ADDR"],
            default=DEFAULT_ADDRESS,
            metavar="URL",
            help=f"Where the agent is. Default: REGISTA_HTTP_ADDR, CONSUL_HTTP_ADDR, or {DEFAULT_ADDRESS}.",
        ),
    ):
        command = option(command)
    return command


def _tls_options(command: F) -> F:
    for name, variable, text in TLS_OPTIONS:
        command = click.option(f"--{name}", envvar=variable, default="", hidden=True, help=text)(command)
    return command


def _take_client(options: dict[str, Any]) -> AgentClient:
    """The client that the options come to; takes them out of `options`."""
    token, token_file = options.pop("token"), options.pop("token_file")
    # Source: Consul. A word that is neither yes nor no counts as not said.
    verify = os.environ.get("CONSUL_HTTP_SSL_VERIFY", "").lower()
    return AgentClient(
        options.pop("http_addr"),
        headers=credentials(token=token, token_file=token_file, environ=os.environ),
        tls=TlsOptions(
            ca_file=options.pop("ca_file"),
            ca_path=options.pop("ca_path"),
            client_cert=options.pop("client_cert"),
            client_key=options.pop("client_key"),
            server_name=options.pop("tls_server_name"),
            is_verified=verify not in _WORDS_FOR_FALSE,
        ),
        is_tls=os.environ.get("CONSUL_HTTP_SSL", "").lower() in _WORDS_FOR_TRUE,
        datacenter=options.pop("datacenter"),
        is_stale=options.pop("stale"),
    )
