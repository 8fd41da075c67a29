"""Where alerts arrive in tests: a server that keeps every JSON body it is sent, and one that keeps mails."""

import contextlib
import http.server
import json
import queue
import threading

from aiosmtpd.controller import Controller


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.mails.put(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Mailbox:
    """What arrived; `next` waits for it.

    Attributes:
        port: where it listens.
    """

    def __init__(self, port, mails):
        self.port = port
        self._mails = mails

    def next(self, *, within_s=20.0):
        """The next that arrives."""
        return self._mails.get(timeout=within_s)

    def is_empty(self):
        """Whether nothing has arrived that was not taken."""
        return self._mails.empty()


@contextlib.contextmanager
def json_mailbox():
    """One that takes any POST of JSON."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.mails = queue.Queue()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Mailbox(server.server_address[1], server.mails)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Keeper:
    def __init__(self, mails):
        self._mails = mails

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd calls it so
        self._mails.put((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


@contextlib.contextmanager
def mail_server(port):
    """A mail server at this port."""
    mails = queue.Queue()
    controller = Controller(_Keeper(mails), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield Mailbox(port, mails)
    finally:
        controller.stop()
