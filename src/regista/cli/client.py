"""A small synchronous client of an agent's HTTP API, for commands. Knows no command."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import click

from regista.cli.transport import TlsOptions, open_connection, parse_address

TIMEOUT_S = 10.0
"""An agent answers from memory; one that needs longer than this is not well."""

LINE_BYTES_MAX = 16 * 1024 * 1024
"""Of a stream: an event says less than the request that brought it about, whose body has a limit of its own."""

Parameters = Mapping[str, str | Sequence[str]]


class AgentUnreachable(click.ClickException):
    """No agent answers; trying again later may help."""


class AgentRefused(click.ClickException):
    """The agent answered with an error.

    Attributes:
        code: the HTTP status.
        text: what the agent said.
        index: as an answer's.
    """

    def __init__(self, text: str, *, code: int, request: str, index: int = 0) -> None:
        super().__init__(f"{text} ({code} from {request})")
        self.code = code
        self.text = text
        self.index = index
        self._request = request

    def prefixed(self, source: str) -> AgentRefused:
        """The same, with what the request was made of in front of its text."""
        return AgentRefused(f"{source}{self.text}", code=self.code, request=self._request, index=self.index)


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
    """Speaks to the agent at one address, with a new connection for each request. Threads may share it.

    Args:
        address: see `parse_address`.
        headers: sent with every request.
        datacenter: asked for with every request, unless it is empty.
        is_stale: any server may answer reads.

    Raises:
        click.UsageError: `address` is none.
    """

    def __init__(
        self,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        tls: TlsOptions | None = None,
        is_tls: bool = False,
        datacenter: str = "",
        is_stale: bool = False,
    ) -> None:
        self._address = parse_address(address, is_tls=is_tls)
        self._headers = dict(headers or {})
        self._tls = tls or TlsOptions()
        self._always = {"dc": datacenter} if datacenter else {}
        self._reading = {"stale": ""} if is_stale else {}
        self.url = self._address.url

    def get(
        self, path: Sequence[str], parameters: Parameters | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> Answer:
        """The answer to a GET of `/v1/` and the parts of `path`, each quoted here.

        Raises:
            AgentUnreachable, AgentRefused: see there.
        """
        return self._request("GET", path, {**self._reading, **(parameters or {})}, None, timeout_s)

    def put(
        self,
        path: Sequence[str],
        body: Any = None,
        parameters: Parameters | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """The answer to a PUT of `body` as JSON.

        Raises:
            AgentUnreachable, AgentRefused: see there.
        """
        data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return self._request("PUT", path, parameters or {}, data, timeout_s)

    def put_bytes(
        self,
        path: Sequence[str],
        data: bytes,
        parameters: Parameters | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """The answer to a PUT of `data` as it is.

        Raises:
            AgentUnreachable, AgentRefused: see there.
        """
        return self._request("PUT", path, parameters or {}, data, timeout_s)

    def post(
        self,
        path: Sequence[str],
        body: Any,
        parameters: Parameters | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """The answer to a POST of `body` as JSON.

        Raises:
            AgentUnreachable, AgentRefused: see there.
        """
        data = json.dumps(body, ensure_ascii=False).encode()
        return self._request("POST", path, parameters or {}, data, timeout_s)

    def delete(self, path: Sequence[str], parameters: Parameters | None = None) -> Answer:
        """The answer to a DELETE.

        Raises:
            AgentUnreachable, AgentRefused: see there.
        """
        return self._request("DELETE", path, parameters or {}, None, TIMEOUT_S)

    @contextlib.contextmanager
    def stream(
        self, path: Sequence[str], parameters: Parameters | None = None, *, timeout_s: float
    ) -> Iterator[Iterator[bytes]]:
        """The lines of an answer that has no end yet, without their ends; closed with the block.

        Args:
            timeout_s: how long nothing may come.

        Raises:
            AgentUnreachable, AgentRefused: see there; the first also while the lines are read.
        """
        target = self._target(path, {**self._reading, **(parameters or {})})
        connection = open_connection(self._address, self._tls, timeout_s=timeout_s)
        try:
            with self._telling_unreachable():
                connection.request("GET", target, headers=self._headers)
                response = connection.getresponse()
                body = b"" if response.status == http.client.OK else response.read()
            # Of an answer that ends with its connection the response has the socket, and not the connection.
            with contextlib.closing(response):
                if response.status != http.client.OK:
                    raise _refused(response, body, f"GET {target}")
                yield self._lines(response)
        finally:
            connection.close()

    def _lines(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        with self._telling_unreachable():
            while line := response.readline(LINE_BYTES_MAX):
                if not line.endswith(b"\n"):
                    raise http.client.LineTooLong("line of the stream")
                yield line.rstrip(b"\r\n")

    @contextlib.contextmanager
    def _telling_unreachable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            raise AgentUnreachable(self._unreachable_text(error)) from error

    def _target(self, path: Sequence[str], parameters: Parameters) -> str:
        _refuse_vanishing(path)
        target = "/".join((f"{self._address.prefix}/v1", *(quote(part, safe="") for part in path)))
        asked = {**self._always, **parameters}
        return f"{target}?{urlencode(asked, doseq=True)}" if asked else target

    def _request(
        self, method: str, path: Sequence[str], parameters: Parameters, data: bytes | None, timeout_s: float
    ) -> Answer:
        target = self._target(path, parameters)
        connection = open_connection(self._address, self._tls, timeout_s=timeout_s)
        try:
            with self._telling_unreachable():
                connection.request(method, target, body=data, headers=self._headers)
                response = connection.getresponse()
                body = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise _refused(response, body, f"{method} {target}")
        return Answer(body, _index(response.getheader("X-Consul-Index")))

    def _unreachable_text(self, error: Exception) -> str:
        match error:
            case ConnectionRefusedError():
                reason = "connection refused"
            case TimeoutError():
                reason = "it took too long"
            case http.client.RemoteDisconnected() | ConnectionError():
                reason = "the connection was closed"
            case ssl.SSLError():
                reason = f"TLS failed ({error.reason or error})"
            case OSError():
                reason = (error.strerror or str(error)).lower()
            case _:
                reason = f"it does not speak HTTP ({type(error).__name__})"
        return (
            f'No agent answers at {self.url}: {reason}. Start one with "regista agent --dev", or name another '
            "with --http-addr."
        )


def _refuse_vanishing(path: Sequence[str]) -> None:
    """Refuses a path that the agent would shorten, as Consul does, and so take for another one.

    Slashes within a part are escaped, and the agent takes them for any other character.

    Raises:
        click.UsageError: it is one.
    """
    whole = "/".join(path)
    # An empty last step stays: a prefix ends so, and of a name that is empty the agent says what is missing.
    *steps, last = path
    if "" in steps or not {".", ".."}.isdisjoint((*steps, last)):
        raise click.UsageError(
            f'no address leads to "/v1/{whole}": what stands between slashes may not be empty, "." or "..".'
        )


def _refused(response: http.client.HTTPResponse, body: bytes, request: str) -> AgentRefused:
    text = body.decode("utf-8", "replace").strip() or response.reason
    if location := response.getheader("Location"):
        text = f"{response.reason}: it is to be asked for at {location}"
    elif response.headers.get_content_type() == "text/html":
        # A proxy's page, or that of another server: pages of markup help nobody on a terminal.
        text = f"{response.reason}. The answer is a web page, not an agent's; is that the address of an agent?"
    index = _index(response.getheader("X-Consul-Index"))
    return AgentRefused(text, code=response.status, request=request, index=index)


def _index(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else 0
