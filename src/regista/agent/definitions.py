"""Services, checks and watches from the configuration files: made true at the start and at each reload.

Touches only what configuration made: an id that a caller of the API holds is left to that caller.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from regista.agent.config import AgentConfig
from regista.agent.config_values import Definition
from regista.agent.writer import CatalogWriter, Plan
from regista.catalog import (
    Catalog,
    Registration,
    deregister_check,
    deregister_service,
    managed_by,
    register_check,
    register_service,
)
from regista.health import KindRule
from regista.model import CallerError, Check, ConfigError, caused_by
from regista.notify import Watch, read_watches
from regista.protocols.consul import read_check, read_service, refuse_kind, refuse_kinds

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Definitions:
    """What the files define, checked.

    Attributes:
        services: each with its checks, and its sidecar.
        checks: those that stand alone.
    """

    services: tuple[Registration, ...] = ()
    checks: tuple[Check, ...] = ()
    watches: tuple[Watch, ...] = ()


def read_definitions(config: AgentConfig, kind_rule: KindRule, *, node: str) -> Definitions:
    """The definitions in the files' objects.

    Args:
        kind_rule: which kinds of checks may be made.

    Raises:
        ConfigError: naming the file, the definition and its field.
    """

    def read(what: str, value: Definition, reader: Callable[..., Any]) -> Any:
        try:
            found = reader(dict(value), node=node, manager="config")
            (refuse_kind if isinstance(found, Check) else refuse_kinds)(found, kind_rule)
        except CallerError as error:
            called = value.get("name") or value.get("id") or f"number {value.number}"
            raise ConfigError(f'{value.source}: {what} "{called}" in the configuration: {error}') from error
        return found

    return Definitions(
        tuple(read("service", each, read_service) for each in config.services),
        tuple(read("check", each, read_check) for each in config.checks),
        read_watches((f"{each.source}: watch number {each.number}", each) for each in config.watches),
    )


def check_definitions(config: AgentConfig) -> None:
    """Says whether an agent could take in what these files define; does nothing where it could.

    Raises:
        ConfigError: as it would be told at the agent's start.
    """
    read_definitions(config, config.kind_rule, node=config.node_name)


async def reconcile(
    catalog: Catalog,
    writer: CatalogWriter,
    definitions: Definitions,
    *,
    node: str,
    new_id: Callable[[], str],
    wall_clock: Callable[[], float],
) -> None:
    """Makes the catalog hold what is defined, and no longer what was defined before.

    Raises:
        StateError, StoreError: it could not be written; call again.
    """
    wanted = {each.service.key for each in definitions.services}
    wanted_checks = {check.key for check in definitions.checks}
    for each in definitions.services:
        wanted_checks |= {check.key for check in each.checks}
        wanted_checks |= each.sidecar.check_keys() if each.sidecar else set()
    for each in definitions.services:
        service = each.service
        if _is_held_by_another(catalog.services.get(service.key), f'service "{service.id}"'):
            continue
        registration = msgspec.structs.replace(each, new_incarnation=new_id())
        await _write(writer, functools.partial(register_service, wanted=registration, now_s=wall_clock()))
    for check in definitions.checks:
        if not _is_held_by_another(catalog.checks.get(check.key), f'check "{check.id}"'):
            await _write(writer, functools.partial(register_check, check=check))
    services_before, checks_before = managed_by(catalog, node, "config")
    for stale in checks_before:
        if stale.record.key not in wanted_checks:
            await _write(writer, functools.partial(deregister_check, node=node, check_id=stale.record.id))
    for held in services_before:
        # A sidecar goes with its instance.
        if held.record.key not in wanted and not held.record.sidecar_of:
            plan = functools.partial(
                deregister_service,
                node=node,
                service_id=held.record.id,
                reason="was removed from the agent's configuration",
                now_s=wall_clock(),
            )
            await _write(writer, plan)


def _is_held_by_another(entry: Any, what: str) -> bool:
    if entry is None or entry.record.manager == "config":
        return False
    logger.warning(
        "%s is defined in the configuration, but held by a caller (%s); it is left as it is. Deregister it to "
        "have the configuration's.",
        what,
        entry.record.manager,
    )
    return True


async def _write(writer: CatalogWriter, plan: Plan) -> None:
    try:
        await writer.write(plan, cause=caused_by("config", reason="the agent's configuration files"))
    except CallerError as error:
        logger.error("a definition in the configuration has no effect: %s", error)  # noqa: TRY400 - the text says all
