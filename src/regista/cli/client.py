"""A small synchronous client of an agent's HTTP API, for commands, and the options that say which agent."""

from __future__ import annotations

import dataclasses
import functools
import http.client
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import click

R = TypeVar("R")

DEFAULT_ADDRESS = "http://127.0.0.1:8500"
TIMEOUT_S = 10.0
"""An agent answers from memory; one that needs longer than this is not well."""


class AgentUnreachable(click.ClickException):
    """No agent answers; trying again later may help."""


class AgentRefused(click.ClickException):
    """The agent answered with an error.

    Attributes:
        code: the HTTP status.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What the agent said.

    Attributes:
        index: of the header `X-Consul-Index`, 0 without it.
    """

    body: bytes
    index: int

    def decode(self) -> Any:
        """The body as JSON.

        Raises:
            click.ClickException: it is something else.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            start = self.body[:80].decode("utf-8", "replace").strip()
            raise click.ClickException(
                f'the answer is not JSON but starts with "{start}". Is that the address of an agent?'
            ) from error


class AgentClient:
    """Speaks to the agent at one address, with a new connection for each request.

    Args:
        address: `http://host:port`, `https://host:port` or `host:port`, with a path where a proxy needs one.
        token: sent as `X-Consul-Token`, unless it is empty.
    """

    def __init__(self, address: str, *, token: str = "") -> None:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise click.UsageError(f'"{address}" is not an address of an agent; write it as {DEFAULT_ADDRESS}.')
        try:
            self._port = parts.port
        except ValueError as error:
            raise click.UsageError(f'"{address}" is not an address of an agent: {error}.') from error
        self._host = parts.hostname
        self._is_https = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/")
        self._headers = {"X-Consul-Token": token} if token else {}
        self.url = f"{parts.scheme}://{parts.netloc}{self._prefix}"

    def get(
        self,
        path: Sequence[str],
        parameters: Mapping[str, str | Sequence[str]] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """The answer to a GET of `/v1/` and the parts of `path`, each quoted here.

        Raises:
            AgentUnreachable, AgentRefused: see there.
        """
        return self._request("GET", path, parameters or {}, None, timeout_s)

    def put(self, path: Sequence[str], body: Any = None) -> Answer:
        """The answer to a PUT of `body` as JSON.

        Raises:
            AgentUnreachable, AgentRefused: see there.
        """
        data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return self._request("PUT", path, {}, data, TIMEOUT_S)

    def _request(
        self, method: str, path: Sequence[str], parameters: Mapping[str, Any], data: bytes | None, timeout_s: float
    ) -> Answer:
        target = "/".join((f"{self._prefix}/v1", *(quote(part, safe="") for part in path)))
        if parameters:
            target += "?" + urlencode(parameters, doseq=True)
        connection_type = http.client.HTTPSConnection if self._is_https else http.client.HTTPConnection
        connection = connection_type(self._host, self._port, timeout=timeout_s)
        try:
            connection.request(method, target, body=data, headers=self._headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise AgentUnreachable(self._unreachable_text(error)) from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            text = body.decode("utf-8", "replace").strip() or response.reason
            raise AgentRefused(f"{text} ({response.status} from {method} {target})", code=response.status)
        return Answer(body, _index(response.getheader("X-Consul-Index")))

    def _unreachable_text(self, error: Exception) -> str:
        match error:
            case ConnectionRefusedError():
                reason = "connection refused"
            case TimeoutError():
                reason = "it took too long"
            case http.client.RemoteDisconnected() | ConnectionError():
                reason = "the connection was closed"
            case OSError():
                reason = (error.strerror or str(error)).lower()
            case _:
                reason = f"it does not speak HTTP ({type(error).__name__})"
        return (
            f'No agent answers at {self.url}: {reason}. Start one with "regista agent --dev", or name another '
            "with --http-addr."
        )


def _index(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else 0


def agent_options(command: Callable[..., R]) -> Callable[..., R]:
    """Gives a command the options that name an agent, and the client for it as the first argument."""

    @click.option(
        "--http-addr",
        envvar=["REGISTA_HTTP_ADDR", "CONSUL_HTTP_ADDR"],
        default=DEFAULT_ADDRESS,
        metavar="URL",
        help=f"Where the agent is. Default: REGISTA_HTTP_ADDR, CONSUL_HTTP_ADDR, or {DEFAULT_ADDRESS}.",
    )
    @click.option(
        "--token",
        envvar=["REGISTA_HTTP_TOKEN", "CONSUL_HTTP_TOKEN"],
        default="",
        metavar="TEXT",
        help="The access token. Default: REGISTA_HTTP_TOKEN or CONSUL_HTTP_TOKEN.",
    )
    @functools.wraps(command)
    def with_client(*args: Any, http_addr: str, token: str, **options: Any) -> R:
        return command(AgentClient(http_addr, token=token), *args, **options)

    return with_client
