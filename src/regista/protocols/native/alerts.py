"""/v1/regista/alerts: what is wrong just now, the rules that say so, who is told, and who does not want to be."""

from __future__ import annotations

from collections import Counter

from regista.catalog import RULE_KINDS
from regista.model import (
    Alert,
    AlertChannel,
    AlertRule,
    AlertSilence,
    AlertView,
    BadInput,
    NotFound,
    format_time,
    shown_channel,
)
from regista.protocols.http import REASON, Handler, Parameter, Request, Response, Route, request_cause
from regista.protocols.native.alert_context import ChannelState
from regista.protocols.native.context import Context
from regista.protocols.native.decode_alerts import (
    BODY_BYTES_MAX,
    decode_channel,
    decode_rule,
    decode_silence,
    duration_text,
    matcher_text,
)
from regista.protocols.native.encode import Json, json_response
from regista.protocols.native.parameters import PRETTY, read_limit

_PATH = "/v1/regista/alerts"
_TEST = "test"

_SHOWN = 1000
"""Alerts in one answer where the caller names no limit."""

_SHOWN_MAX = 100_000

_READ, _WRITE = "operator:read", "operator:write"

_KEPT: tuple[Parameter, ...] = (REASON, PRETTY)

_STATES = ("pending", "firing", "resolved")
_RANKS = {"firing": 0, "pending": 1, "resolved": 2}


class Alerts:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        wanted = (
            Parameter("state", f"Only alerts in this state: {', '.join(_STATES)}."),
            Parameter("rule", "Only alerts of this rule."),
            Parameter("history", "Also alerts that have ended, as far as they are kept.", "boolean"),
            Parameter("limit", f"How many at the most; {_SHOWN}.", "integer"),
            PRETTY,
        )
        testing = "Sends a message to try a channel, with `/test` behind its name"
        creating = "Keeps a silence under a new id"
        silences = f"{_PATH}/silences"
        return (
            _read(_PATH, self.list, "The alerts, those that fire first", parameters=wanted),
            _read(f"{_PATH}/rules", self.rules, "The rules"),
            _one("GET", "rule", self.rule, "A rule"),
            _one("PUT", "rule", self.put_rule, "Keeps a rule", body="json"),
            _one("DELETE", "rule", self.delete_rule, "Deletes a rule"),
            _read(f"{_PATH}/channels", self.channels, "The channels"),
            _one("GET", "channel", self.channel, "A channel"),
            _one("PUT", "channel", self.put_channel, "Keeps a channel", body="json"),
            _one("DELETE", "channel", self.delete_channel, "Deletes a channel"),
            _one("POST", "channel", self.test_channel, testing),
            _read(silences, self.silences, "The silences"),
            Route(
                "POST",
                silences,
                self.create_silence,
                creating,
                parameters=_KEPT,
                access=_WRITE,
                body="json",
                load="control",
            ),
            _one("GET", "silence", self.silence, "A silence"),
            _one("PUT", "silence", self.put_silence, "Keeps a silence", body="json"),
            _one("DELETE", "silence", self.delete_silence, "Ends a silence"),
        )

    # ---- alerts ----

    def list(self, request: Request) -> Response:
        """GET regista/alerts: those that fire first, the newest of each state first."""
        state = request.parameters.first("state")
        if state and state not in _STATES:
            raise BadInput(f"Invalid state: it is one of {', '.join(_STATES)}", field="state")
        rule = request.parameters.first("rule").lower()
        limit = read_limit(request, default=_SHOWN, least=0, most=_SHOWN_MAX)
        views = [*self._context.alerts.views()]
        if state == "resolved" or request.parameters.first("history", "false") not in ("false", "0"):
            alerts = (entry.record for entry in self._context.catalog.alerting.alerts.values())
            views += [_ended(each) for each in alerts if not each.is_firing]
        views = [
            each
            for each in views
            if (not state or each.state == state) and (not rule or each.rule.lower() == rule)
        ]
        views.sort(key=lambda each: (_RANKS[each.state], -(each.fired_at_s or each.since_s), each.id))
        found = {
            "alerts": [_alert_object(each) for each in views[:limit]],
            "alerts_left_out": max(0, len(views) - limit),
            "not_followed": self._context.alerts.left_out,
        }
        return json_response(request, found)

    # ---- rules ----

    def rules(self, request: Request) -> Response:
        """GET regista/alerts/rules: all of them, by name."""
        rules = self._context.alerts.rules()
        counts = Counter((view.rule.lower(), view.state) for view in self._context.alerts.views())
        return json_response(request, [self._rule_object(rules[key], counts) for key in sorted(rules)])

    def rule(self, request: Request) -> Response:
        """GET regista/alerts/rules/{name}."""
        rule = self._context.alerts.rules().get(request.argument.lower())
        if rule is None:
            raise NotFound(f'there is no alert rule "{request.argument[:128]}"')
        counts = Counter((view.rule.lower(), view.state) for view in self._context.alerts.views())
        return json_response(request, self._rule_object(rule, counts))

    async def put_rule(self, request: Request) -> Response:
        """PUT regista/alerts/rules/{name}: the rule as it is kept."""
        rule = decode_rule(await request.body(BODY_BYTES_MAX), request.argument)
        await self._context.alerts.put_rule(rule, cause=request_cause(request))
        return self.rule(request)

    async def delete_rule(self, request: Request) -> Response:
        """DELETE regista/alerts/rules/{name}."""
        await self._context.alerts.delete_rule(request.argument, cause=request_cause(request))
        return json_response(request, {"deleted": request.argument})

    def _rule_object(self, rule: AlertRule, counts: Counter[tuple[str, str]]) -> Json:
        kind = RULE_KINDS.get(rule.rule_kind)
        return {
            "name": rule.name,
            "origin": "written" if rule.key in self._context.catalog.alerting.rules else "house",
            "kind": rule.rule_kind,
            "text": f"tells when {kind.text}" if kind else "of a kind that this version does not know",
            "service": rule.service,
            "node": rule.node,
            "check": rule.check,
            "healthy_min": rule.healthy_min,
            "share_min": rule.share_min,
            "file": rule.file,
            "within": duration_text(rule.within_s),
            "for": duration_text(rule.for_s),
            "severity": rule.severity,
            "labels": rule.labels or {},
            "annotations": rule.annotations or {},
            "group_by": rule.group_by,
            "channels": rule.channels,
            "enabled": rule.is_enabled,
            "pending": counts[rule.key, "pending"],
            "firing": counts[rule.key, "firing"],
        }

    # ---- channels ----

    def channels(self, request: Request) -> Response:
        """GET regista/alerts/channels: all of them, by name, without what is secret."""
        found, states = self._context.catalog.alerting.channels, self._context.alerts.channel_states()
        return json_response(request, [_channel_object(found[key].record, states[key]) for key in sorted(found)])

    def channel(self, request: Request) -> Response:
        """GET regista/alerts/channels/{name}."""
        key = request.argument.lower()
        entry = self._context.catalog.alerting.channels.get(key)
        if entry is None:
            raise NotFound(f'there is no alert channel "{request.argument[:128]}"')
        return json_response(request, _channel_object(entry.record, self._context.alerts.channel_states()[key]))

    async def put_channel(self, request: Request) -> Response:
        """PUT regista/alerts/channels/{name}: the channel as it is kept."""
        channel = decode_channel(await request.body(BODY_BYTES_MAX), request.argument)
        await self._context.alerts.put_channel(channel, cause=request_cause(request))
        return self.channel(request)

    async def delete_channel(self, request: Request) -> Response:
        """DELETE regista/alerts/channels/{name}."""
        await self._context.alerts.delete_channel(request.argument, cause=request_cause(request))
        return json_response(request, {"deleted": request.argument})

    async def test_channel(self, request: Request) -> Response:
        """POST regista/alerts/channels/{name}/test: what came of it."""
        name, _, rest = request.argument.partition("/")
        if rest != _TEST:
            raise NotFound(f"there is no path {request.path[:256]}; {_PATH}/channels/NAME/{_TEST} is one")
        outcome = await self._context.alerts.test_channel(name, at_s=self._context.wall_clock())
        return json_response(request, {"sent": not outcome.problem, "problem": outcome.problem})

    # ---- silences ----

    def silences(self, request: Request) -> Response:
        """GET regista/alerts/silences: all of them, the first to end first."""
        found = [entry.record for entry in self._context.catalog.alerting.silences.values()]
        found.sort(key=lambda each: (each.ends_s, each.id))
        return json_response(request, [self._silence_object(each) for each in found])

    def silence(self, request: Request) -> Response:
        """GET regista/alerts/silences/{id}."""
        return self._show_silence(request, request.argument)

    async def create_silence(self, request: Request) -> Response:
        """POST regista/alerts/silences: the silence as it is kept."""
        return await self._keep_silence(request, self._context.new_id())

    async def put_silence(self, request: Request) -> Response:
        """PUT regista/alerts/silences/{id}: the silence as it is kept."""
        return await self._keep_silence(request, request.argument)

    async def delete_silence(self, request: Request) -> Response:
        """DELETE regista/alerts/silences/{id}."""
        await self._context.alerts.delete_silence(request.argument, cause=request_cause(request))
        return json_response(request, {"deleted": request.argument})

    async def _keep_silence(self, request: Request, silence_id: str) -> Response:
        body = await request.body(BODY_BYTES_MAX)
        silence = decode_silence(body, silence_id, now_s=self._context.wall_clock())
        await self._context.alerts.put_silence(silence, cause=request_cause(request))
        return self._show_silence(request, silence_id)

    def _show_silence(self, request: Request, silence_id: str) -> Response:
        entry = self._context.catalog.alerting.silences.get(silence_id)
        if entry is None:
            raise NotFound(f'there is no silence "{silence_id[:128]}"')
        return json_response(request, self._silence_object(entry.record))

    def _silence_object(self, silence: AlertSilence) -> Json:
        now_s = self._context.wall_clock()
        state = "active" if silence.starts_s <= now_s < silence.ends_s else "over"
        return {
            "id": silence.id,
            "state": "planned" if now_s < silence.starts_s else state,
            "matchers": [matcher_text(each) for each in silence.matchers],
            "starts": format_time(silence.starts_s),
            "ends": format_time(silence.ends_s),
            "author": silence.author,
            "comment": silence.comment,
        }


def _read(path: str, handler: Handler, summary: str, *, parameters: tuple[Parameter, ...] = (PRETTY,)) -> Route:
    """The route of a list."""
    return Route("GET", path, handler, summary, parameters=parameters, access=_READ, load="dashboard")


def _one(method: str, what: str, handler: Handler, summary: str, *, body: str = "") -> Route:
    """The route of one thing, by its name."""
    return Route(
        method,
        f"{_PATH}/{what}s/",
        handler,
        summary,
        argument=what,
        parameters=(PRETTY,) if method == "GET" else _KEPT,
        access=_READ if method == "GET" else _WRITE,
        body=body,
        load="dashboard" if method == "GET" else "control",
    )


def _channel_object(channel: AlertChannel, state: ChannelState) -> Json:
    shown = shown_channel(channel)
    return {
        "name": shown.name,
        "kind": shown.channel_kind,
        "url": shown.url,
        "secret": shown.secret,
        "token": shown.token,
        "tells_resolved": shown.tells_resolved,
        "sent": state.sent,
        "failed": state.failed,
        "problem": state.problem,
        "told_at": _time(state.told_at_s),
    }


def _alert_object(view: AlertView) -> Json:
    return {
        "id": view.id or None,
        "rule": view.rule,
        "state": view.state,
        "severity": view.labels.get("severity", ""),
        "labels": view.labels,
        "annotations": view.annotations,
        "value": view.value,
        "sentence": view.sentence,
        "since": _time(view.since_s),
        "fired_at": _time(view.fired_at_s),
        "resolved_at": _time(view.resolved_at_s),
        "resolved_because": view.resolved_because,
        "channels": view.channels,
        "silenced_by": view.silenced_by,
        "is_written": view.is_written,
    }


def _ended(alert: Alert) -> AlertView:
    return AlertView(
        id=alert.id,
        rule=alert.rule,
        state="resolved",
        labels=alert.labels,
        annotations=alert.annotations,
        channels=alert.channels,
        value=alert.value,
        sentence=alert.sentence,
        since_s=alert.since_s,
        fired_at_s=alert.fired_at_s,
        resolved_at_s=alert.resolved_at_s,
        resolved_because=alert.resolved_because,
        silenced_by=(),
        is_written=True,
    )


def _time(at_s: float) -> str | None:
    return format_time(at_s) if at_s else None
