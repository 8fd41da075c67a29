"""A receiver of Regista's webhooks: checks each signature, knows what it has seen before, and prints the rest.

Standard library only, so that it can be read as it is and written again in any language.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

TOLERANCE_S = 300
SEEN_MAX = 10_000


def is_genuine(secret: str, signature: str, delivery: str, body: bytes, now_s: float) -> bool:
    """Whether a delivery was signed with the secret, and not long ago.

    Args:
        signature: the header X-Regista-Signature.
        delivery: the header X-Regista-Delivery.
    """
    fields = [part.partition("=")[::2] for part in signature.split(",")]
    signed_at = next((value for name, value in fields if name == "t"), "")
    if not signed_at.isdigit() or abs(now_s - int(signed_at)) > TOLERANCE_S:
        return False
    message = f"{signed_at}.{delivery}.".encode() + body
    wanted = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return any(name == "v1" and hmac.compare_digest(value, wanted) for name, value in fields)


class Receiver(BaseHTTPRequestHandler):
    """Answers deliveries."""

    protocol_version = "HTTP/1.1"
    secret = ""
    folder: Path | None = None
    seen: ClassVar[OrderedDict[str, None]] = OrderedDict()

    def do_POST(self) -> None:
        """Takes a delivery; 401 for one that is not genuine."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        delivery = self.headers.get("X-Regista-Delivery", "")
        signature = self.headers.get("X-Regista-Signature", "")
        if not is_genuine(self.secret, signature, delivery, body, time.time()):
            self._answer(401)
            return
        if self.folder is not None:
            (self.folder / "signature").write_text(signature)
            (self.folder / "delivery").write_text(delivery)
            (self.folder / "body").write_bytes(body)
        if delivery not in self.seen:  # else it came before, and its answer was lost, or it was replayed
            event = json.loads(body)
            print(*(event[name] for name in ("type", "subject") if name in event), flush=True)
            # Noted after the work is done: what fails before is sent again.
            self.seen[delivery] = None
            if len(self.seen) > SEEN_MAX:
                self.seen.popitem(last=False)
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Says nothing of requests."""


def main() -> None:
    """Receives until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--save", type=Path, help="a folder for the latest delivery: signature, delivery, body")
    options = parser.parse_args()
    Receiver.secret = options.secret_file.read_text().strip()
    Receiver.folder = options.save
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Receiver)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit()


if __name__ == "__main__":
    main()
