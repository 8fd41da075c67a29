"""How long a check may be critical before its instance is removed, whoever made the check."""

from __future__ import annotations

from regista.model import Check, parse_duration_s


def reaps_after_s(check: Check) -> float:
    """Seconds in critical after which the check's instance is removed; 0 for never, and for checks of a node.

    Also for a check that is written through the catalog's paths, whose status is its writer's.

    Source: Consul 1.9 shows it of such a check, and does nothing.
    """
    if not check.service_id:
        return 0.0
    if check.definition is not None:
        return check.definition.deregister_critical_service_after_s
    shown = check.shown_definition
    text = shown.get("DeregisterCriticalServiceAfter") if shown is not None else None
    return parse_duration_s(text) if text else 0.0
