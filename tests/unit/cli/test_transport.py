"""How commands reach an agent: TLS, Unix sockets."""

import http.server
import socketserver
import ssl
import threading
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "data"
CERTIFICATE = str(DATA / "loopback.cert.pem")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'["dc1"]'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return ""

    def log_message(self, *args):
        pass


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def serving():
    """Starts servers, and ends them."""
    started = []

    def start(server):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join()


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A handshake that the client breaks off is what some tests are about."""


@pytest.fixture
def tls_port(serving):
    """A server whose certificate is for loopback, signed by itself."""
    server = QuietServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, DATA / "loopback.key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return serving(server).server_port


def test_a_unix_socket(regista, serving, tmp_path):
    """`unix://` and a path reach the agent that listens there."""
    path = tmp_path / "socket"
    serving(UnixServer(str(path), Handler))
    result = regista("catalog", "datacenters", "--http-addr", f"unix://{path}")
    assert (result.exit_code, result.stdout) == (0, "dc1\n")
    result = regista("catalog", "datacenters", "--http-addr", f"unix://{tmp_path}/none")
    assert (result.exit_code, "no such file" in result.stderr) == (1, True)


def test_a_certificate_must_be_trusted(regista, tls_port):
    """A certificate is accepted when --ca-file trusts it, or when nothing is to be verified."""
    address = f"https://127.0.0.1:{tls_port}"
    result = regista("catalog", "datacenters", "--http-addr", address)
    assert (result.exit_code, "TLS failed" in result.stderr) == (1, True)
    trusting = ("--http-addr", address, "--ca-file", CERTIFICATE)
    assert regista("catalog", "datacenters", *trusting).stdout == "dc1\n"
    assert regista("catalog", "datacenters", CONSUL_CACERT=CERTIFICATE, REGISTA_HTTP_ADDR=address).exit_code == 0
    unverified = {"CONSUL_HTTP_SSL_VERIFY": "false", "CONSUL_HTTP_SSL": "true"}
    assert regista("catalog", "datacenters", "--http-addr", f"127.0.0.1:{tls_port}", **unverified).exit_code == 0


def test_the_name_of_the_server(regista, tls_port):
    """--tls-server-name is the name that the certificate must be for."""
    trusting = ("--http-addr", f"https://127.0.0.1:{tls_port}", "--ca-file", CERTIFICATE)
    assert regista("catalog", "datacenters", *trusting, "--tls-server-name", "127.0.0.1").stdout == "dc1\n"
    assert regista("catalog", "datacenters", *trusting, "--tls-server-name", "other").exit_code == 1


def test_certificates_that_are_none(regista, tls_port):
    """A file that can't be used is told."""
    result = regista("catalog", "datacenters", "--http-addr", f"https://127.0.0.1:{tls_port}", "--ca-file", "/no")
    assert (result.exit_code, "the certificates in /no can't be used" in result.stderr) == (1, True)
