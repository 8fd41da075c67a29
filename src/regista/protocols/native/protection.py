"""/v1/regista/health/protection: mass losses that are not believed, who is kept for it, and the switch."""

from __future__ import annotations

import itertools

from regista.health import Protection
from regista.model import BadInput, format_time
from regista.protocols.http import Parameter, Request, Response, Route
from regista.protocols.native.context import Context
from regista.protocols.native.encode import Json, json_response
from regista.protocols.native.parameters import PRETTY, read_limit

_SUSPECTS = 100
"""Kept instances in one answer where the caller names no limit."""

_SUSPECTS_MAX = 100_000

_LIMIT = Parameter("limit", f"How many kept instances at the most; {_SUSPECTS}.", "integer")


class ProtectionSwitch:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        path = "/v1/regista/health/protection"
        return (
            Route(
                "GET",
                path,
                self.show,
                "Which mass losses are not believed, since when and until when, and which instances are kept",
                parameters=(_LIMIT, PRETTY),
                access="operator:read",
                load="control",
            ),
            Route(
                "PUT",
                path,
                self.switch,
                "Switches mass-expiry protection on or off until the agent ends",
                parameters=(Parameter("enabled", "Required: `true` or `false`."), _LIMIT, PRETTY),
                access="operator:write",
                load="control",
            ),
        )

    def show(self, request: Request) -> Response:
        """GET regista/health/protection."""
        context = self._context
        limit = read_limit(request, default=_SUSPECTS, least=0, most=_SUSPECTS_MAX)
        suspects = context.catalog.marks.of("suspect")
        return json_response(
            request,
            {
                "enabled": context.guard.is_protection_enabled,
                "protections": [protection_object(each) for each in context.guard.protections()],
                "suspects_count": len(suspects),
                "suspects": [
                    self._suspect_object(key, sentence)
                    for key, sentence in itertools.islice(suspects.items(), limit)
                    if key in context.catalog.services
                ],
            },
        )

    def switch(self, request: Request) -> Response:
        """PUT regista/health/protection: the same answer, as it is afterwards."""
        wanted = request.parameters.first("enabled")
        if wanted not in ("true", "false"):
            raise BadInput("Invalid enabled: say enabled=true or enabled=false", field="enabled")
        read_limit(request, default=_SUSPECTS, least=0, most=_SUSPECTS_MAX)
        self._context.guard.enable_protection(is_enabled=wanted == "true")
        return self.show(request)

    def _suspect_object(self, key: str, sentence: str) -> Json:
        service = self._context.catalog.services[key].record
        return {"service": service.name, "id": service.id, "node": service.node, "why": sentence}


def protection_object(protection: Protection) -> Json:
    """A protection with all that an operator has to know, and the same as a sentence."""
    of = f"service {protection.scope}" if protection.scope else "all services"
    since, until = format_time(protection.since), format_time(protection.until)
    end = (
        "their ports are being dialled, and those that are closed go"
        if protection.is_verifying
        else f"at {until} their ports are dialled, unless most are heard before"
    )
    return {
        "scope": protection.scope,
        "held": protection.held,
        "of": protection.of,
        "share": round(protection.share, 4),
        "limit": protection.limit,
        "since": since,
        "until": until,
        "is_verifying": protection.is_verifying,
        "command": protection.command,
        "sentence": (
            f"{protection.held} of {protection.of} instances of {of} ({protection.share:.0%}) are silent and kept "
            f"since {since}, because more than {protection.limit:.0%} fell silent at once; {end}. "
            f"`{protection.command}` ends that."
        ),
    }
