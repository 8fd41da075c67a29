"""/v1/regista/subscriptions: who wants events sent, how that is getting on, and what could not be delivered."""

from __future__ import annotations

import itertools

from regista.catalog import find_subscription
from regista.model import (
    DeadLetter,
    Entry,
    NotFound,
    Subscription,
    format_time,
    without_secrets,
)
from regista.protocols.http import REASON, Parameter, Request, Response, Route, request_cause
from regista.protocols.native.context import Context
from regista.protocols.native.decode_subscription import decode_subscription
from regista.protocols.native.encode import Json, json_response
from regista.protocols.native.parameters import PRETTY, read_limit

_PATH = "/v1/regista/subscriptions"
_LETTERS = "dead-letters"
_REPLAY = "replay"
_TEST = "test"

_BODY_BYTES_MAX = 256 * 1024
"""A subscription at all its limits takes less."""

_SHOWN = 100
"""Dead letters in one answer where the caller names no limit."""

_SHOWN_MAX = 100_000

_EVENT = Parameter("event", "Only the dead letter of this event; all.")


class Subscriptions:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        below = f"{_PATH}/"
        limit = Parameter("limit", f"How many dead letters at the most; {_SHOWN}.", "integer")
        read, write = "operator:read", "operator:write"
        text = "A subscription and how it is getting on; its dead letters with `/dead-letters` behind it"
        sending = "Sends an event to try it, with `/test` behind it, or dead letters again, with `/replay`"
        ending = "Deletes a subscription; with `/dead-letters` behind it, its dead letters"
        kept: tuple[Parameter, ...] = (REASON, PRETTY)
        return (
            Route("GET", _PATH, self.list, "The subscriptions", parameters=(PRETTY,), access=read, load="list"),
            Route("POST", _PATH, self.create, "Keeps a subscription", parameters=kept, access=write, body="json"),
            Route("GET", below, self.read, text, argument="subscription", parameters=(limit, PRETTY), access=read),
            Route(
                "PUT",
                below,
                self.replace,
                "Replaces a subscription",
                argument="subscription",
                parameters=kept,
                access=write,
                body="json",
            ),
            Route(
                "DELETE",
                below,
                self.delete,
                ending,
                argument="subscription",
                parameters=(_EVENT, *kept),
                access=write,
            ),
            Route(
                "POST",
                below,
                self.send,
                sending,
                argument="subscription",
                parameters=(_EVENT, *kept),
                access=write,
            ),
        )

    def list(self, request: Request) -> Response:
        """GET regista/subscriptions: all of them, by name."""
        entries = self._context.catalog.subscriptions.values()
        ordered = sorted(entries, key=lambda entry: (entry.record.name, entry.record.id))
        return json_response(request, [self._object(entry) for entry in ordered])

    async def create(self, request: Request) -> Response:
        """POST regista/subscriptions: the subscription as it is kept."""
        context = self._context
        wanted = decode_subscription(
            await request.body(_BODY_BYTES_MAX),
            context.new_id(),
            is_new=True,
            host_problem=context.webhooks.host_problem,
        )
        await context.webhooks.create(wanted, cause=request_cause(request))
        return self._show(request, wanted.id)

    def read(self, request: Request) -> Response:
        """GET regista/subscriptions/{id}, and …/{id}/dead-letters."""
        subscription_id, _, rest = request.argument.partition("/")
        entry = find_subscription(self._context.catalog, subscription_id)
        if not rest:
            return json_response(request, self._object(entry))
        _check_path(request, rest == _LETTERS)
        limit = read_limit(request, default=_SHOWN, least=0, most=_SHOWN_MAX)
        letters = self._context.catalog.dead_letters.of(subscription_id)
        return json_response(request, [_letter_object(each) for each in itertools.islice(letters, limit)])

    async def replace(self, request: Request) -> Response:
        """PUT regista/subscriptions/{id}: the subscription as it is kept."""
        context = self._context
        before = find_subscription(context.catalog, request.argument).record
        wanted = decode_subscription(
            await request.body(_BODY_BYTES_MAX),
            before.id,
            is_new=False,
            host_problem=context.webhooks.host_problem,
        )
        await context.webhooks.replace(wanted, cause=request_cause(request))
        return self._show(request, before.id)

    async def delete(self, request: Request) -> Response:
        """DELETE regista/subscriptions/{id}, and …/{id}/dead-letters."""
        subscription_id, _, rest = request.argument.partition("/")
        _check_path(request, rest in ("", _LETTERS))
        cause = request_cause(request)
        webhooks = self._context.webhooks
        if rest:
            event = request.parameters.first("event")
            before = len(self._context.catalog.dead_letters.of(subscription_id))
            await webhooks.drop(subscription_id, event, cause=cause)
            return json_response(request, {"deleted": 1 if event else before})
        await webhooks.delete(subscription_id, cause=cause)
        return json_response(request, {"deleted": subscription_id})

    async def send(self, request: Request) -> Response:
        """POST regista/subscriptions/{id}/test, and …/{id}/replay: what came of it."""
        subscription_id, _, rest = request.argument.partition("/")
        _check_path(request, rest in (_TEST, _REPLAY))
        webhooks = self._context.webhooks
        if rest == _REPLAY:
            event = request.parameters.first("event")
            replayed = await webhooks.replay(subscription_id, event, cause=request_cause(request))
            return json_response(
                request,
                {
                    "delivered": replayed.delivered,
                    "left": replayed.left,
                    "error": replayed.problem or None,
                },
            )
        event_id, outcome = await webhooks.test(subscription_id)
        return json_response(
            request,
            {
                "id": event_id,
                "delivered": not outcome.problem,
                "status": outcome.status or None,
                "error": outcome.problem or None,
                "took_ms": round(outcome.took_s * 1000, 3),
            },
        )

    def _show(self, request: Request, subscription_id: str) -> Response:
        return json_response(request, self._object(find_subscription(self._context.catalog, subscription_id)))

    def _object(self, entry: Entry[Subscription]) -> Json:
        shown = without_secrets(entry.record)
        until_s = shown.previous_until_s if shown.previous_secret else None
        if until_s is not None and until_s < self._context.wall_clock():
            until_s = None
        return {
            "id": shown.id,
            "name": shown.name,
            "url": shown.url,
            "types": shown.types,
            "services": shown.services,
            "tags": shown.tags,
            "statuses": shown.statuses,
            "nodes": shown.nodes,
            "key_prefix": shown.key_prefix,
            "secret": shown.secret,
            "previous_secret_until": _time(until_s),
            "headers": shown.headers or {},
            "enabled": shown.is_enabled,
            "disabled_because": shown.disabled_because or None,
            "after_index": shown.after_index,
            "created_index": entry.create_index,
            "modify_index": entry.modify_index,
            "status": self._status_object(shown.id),
        }

    def _status_object(self, subscription_id: str) -> Json | None:
        """How it is getting on; None for one that just ended."""
        state = self._context.webhooks.state(subscription_id)
        if state is None:
            return None
        catalog, courier = self._context.catalog, state.courier
        delivery = catalog.deliveries.get(subscription_id)
        return {
            "index": state.index,
            "behind": state.behind,
            "behind_s": round(state.behind_s, 3),
            "failing": state.is_failing,
            "attempts": state.attempts,
            "next_attempt": _time(courier.next_attempt_s),
            "last_success": _time(courier.last_success_s),
            "last_error": courier.error or None,
            "last_error_at": _time(courier.error_s),
            "delivered": courier.delivered,
            "retried": courier.retried,
            "dead": courier.dead,
            "rereads": courier.rereads,
            "dead_letters": len(catalog.dead_letters.by_subscription.get(subscription_id, {})),
            "dead_letters_dropped": delivery.record.dropped if delivery else 0,
        }


def _letter_object(entry: Entry[DeadLetter]) -> Json:
    letter = entry.record
    return {
        "event": letter.event,
        "type": letter.type,
        "time": _time(letter.at_s),
        "attempts": letter.attempts,
        "error": letter.error,
        "body": letter.body,
    }


def _time(at_s: float | None) -> str | None:
    return None if at_s is None else format_time(at_s)


def _check_path(request: Request, is_known: bool) -> None:  # noqa: FBT001 - the one thing that there is to say
    if not is_known:
        raise NotFound(f"there is nothing at {request.method} {request.path[:200]}; see /v1/openapi.json")
