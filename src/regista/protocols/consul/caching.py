"""`?cached` and `Cache-Control`: what Consul's agent would say of the answer in its cache.

There is no second cache here that could be behind: every answer is as new as the replica. So a question that
was asked before with `?cached` is a hit of age 0, as it is in Consul while the agent follows the servers, and the
first one is a miss. What is remembered is only which questions were asked.

Source: Consul 1.9 (recorded answers).
"""

from __future__ import annotations

import re
from collections import OrderedDict

from regista.model import BadInput
from regista.protocols.http import Headers

_SECONDS = re.compile(r"[+-]?[0-9]{1,18}")

MISS: Headers = (("X-Cache", "MISS"),)
HIT: Headers = (("X-Cache", "HIT"), ("Age", "0"))


class CachedQuestions:
    """Which questions were asked with `?cached`.

    Args:
        most: of how many that is remembered; those that nobody asked for longest are forgotten first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._asked: OrderedDict[str, None] = OrderedDict()

    def ask(self, key: str, *, is_anew: bool = False) -> Headers:
        """The headers for an answer to this question.

        Args:
            is_anew: whether the caller wants it to be fetched anew, which makes it a miss.
        """
        was_asked = key in self._asked
        self._asked[key] = None
        self._asked.move_to_end(key)
        if len(self._asked) > self._most:
            self._asked.popitem(last=False)
        return HIT if was_asked and not is_anew else MISS


def must_revalidate(cache_control: str) -> bool:
    """Whether a request's `Cache-Control` wants an answer that was not kept at all.

    Raises:
        BadInput: `max-age` or `stale-if-error` is no number of seconds.
    """
    wanted = False
    for part in cache_control.lower().split(","):
        name, _, value = part.strip().partition("=")
        if name == "must-revalidate":
            wanted = True
        elif name in ("max-age", "stale-if-error"):
            if not _SECONDS.fullmatch(value):
                raise BadInput(f"Invalid Cache-Control header. {name} must be a whole number of seconds.")
            wanted = wanted or (name == "max-age" and int(value) == 0)
    return wanted
