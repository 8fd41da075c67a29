"""How a command reaches an agent: over TCP, TLS or a Unix socket, and as whom. Knows no command."""

from __future__ import annotations

import base64
import dataclasses
import http.client
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

DEFAULT_ADDRESS = "http://127.0.0.1:8500"


@dataclasses.dataclass(frozen=True, slots=True)
class TlsOptions:
    """What a command trusts and shows over TLS; "" for the system's own.

    Attributes:
        server_name: what the server's certificate must be for, instead of the address's host.
    """

    ca_file: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    server_name: str = ""
    is_verified: bool = True

    def context(self) -> ssl.SSLContext:
        """What a connection over TLS is made with.

        Raises:
            click.ClickException: a file can't be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None, capath=self.ca_path or None)
            if self.client_cert:
                context.load_cert_chain(self.client_cert, self.client_key or None)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(filter(None, (self.ca_file, self.ca_path, self.client_cert, self.client_key)))
            raise click.ClickException(f"the certificates in {files} can't be used: {error}.") from error
        if not self.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where an agent is.

    Attributes:
        host: the path of the socket for `unix`.
        port: None for the scheme's own.
        prefix: the path before `/v1`, where a proxy needs one.
        url: for people.
    """

    scheme: str
    host: str
    port: int | None
    prefix: str
    url: str


def parse_address(text: str, *, is_tls: bool = False) -> Address:
    """The address in `http://host:port`, `https://…`, `unix:///path` or `host:port` (TLS there with `is_tls`).

    Raises:
        click.UsageError: it is something else.
    """
    full = text if "://" in text else f"{'https' if is_tls else 'http'}://{text}"
    parts = urlsplit(full)
    if parts.scheme == "unix" and parts.path:
        return Address("unix", parts.netloc + parts.path, None, "", full)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError(f'"{text}" is not an address of an agent; write it as {DEFAULT_ADDRESS}.')
    try:
        port = parts.port
    except ValueError as error:
        raise click.UsageError(f'"{text}" is not an address of an agent: {error}.') from error
    prefix = parts.path.rstrip("/")
    return Address(parts.scheme, parts.hostname, port, prefix, f"{parts.scheme}://{parts.netloc}{prefix}")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the socket at a path."""

    def __init__(self, path: str, *, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connects to the path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _NamedTlsConnection(http.client.HTTPSConnection):
    """HTTPS to a server whose certificate is for another name than its address."""

    def __init__(self, address: Address, server_name: str, context: ssl.SSLContext, *, timeout_s: float) -> None:
        super().__init__(address.host, address.port, timeout=timeout_s, context=context)
        self._tls = context
        self._server_name = server_name

    def connect(self) -> None:
        """Connects, and asks for the name."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server_name)


def open_connection(address: Address, tls: TlsOptions, *, timeout_s: float) -> http.client.HTTPConnection:
    """A connection that is made at its first request.

    Raises:
        click.ClickException: see `TlsOptions.context`.
    """
    match address.scheme:
        case "unix":
            return _UnixConnection(address.host, timeout_s=timeout_s)
        case "http":
            return http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
        case _ if tls.server_name:
            return _NamedTlsConnection(address, tls.server_name, tls.context(), timeout_s=timeout_s)
        case _:
            return http.client.HTTPSConnection(
                address.host, address.port, timeout=timeout_s, context=tls.context()
            )


def credentials(*, token: str, token_file: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The headers that say who asks; `token` wins over the file.

    Raises:
        click.ClickException: the file can't be read.
    """
    headers = {}
    if token_file and not token:
        try:
            token = Path(token_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "not UTF-8 text"
            raise click.ClickException(f"Error loading token file: open {token_file}: {reason}") from error
    if token:
        headers["X-Consul-Token"] = token
    auth = environ.get("CONSUL_HTTP_AUTH", "")
    if auth:
        # Source: Consul, the environment of its client: `user:password`, or a user alone.
        pair = auth if ":" in auth else f"{auth}:"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return headers
