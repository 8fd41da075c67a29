"""Services, checks and watches from the configuration files: made true at the start and at each reload.

Touches only what configuration made: an id that a caller of the API holds is left to that caller.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
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
from regista.model import BadInput, CallerError, Check, ConfigError, Service, caused_by
from regista.notify import Watch, read_watches
from regista.protocols.consul import read_check, read_service, refuse_kind, refuse_kinds

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Definitions:
    """What the files define, checked.

    Attributes:
        services: each with its checks, and its sidecar; no id is there twice.
        checks: those that stand alone; no id is there twice, nor among the services' checks.
        places: where each service and check is defined, by its kind and key: `a.hcl: service "web"`.
        warnings: sentences on what is defined without effect.
    """

    services: tuple[Registration, ...] = ()
    checks: tuple[Check, ...] = ()
    watches: tuple[Watch, ...] = ()
    places: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()


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
            problem = error.plain_text if isinstance(error, BadInput) else error
            raise ConfigError(f'{value.source}: {what} "{called}" in the configuration: {problem}') from error
        return found

    return _last_of_each(
        [(each.source, read("service", each, read_service)) for each in config.services],
        [(each.source, read("check", each, read_check)) for each in config.checks],
        read_watches((f"{each.source}: watch number {each.number}", each) for each in config.watches),
    )


def _last_of_each(
    services: Iterable[tuple[str, Registration]], checks: Iterable[tuple[str, Check]], watches: tuple[Watch, ...]
) -> Definitions:
    """The definitions that count: of several with one id the last, a check that stands alone being later.

    Were each written in its turn, every reload would make them true one after the other, for callers to see.

    Args:
        services, checks: each with its source.
    """
    taken: dict[tuple[str, str], tuple[str, Registration | Check]] = {}
    warnings: list[str] = []

    def is_last(record: Service | Check, whole: Registration | Check, place: str) -> bool:
        later_place, later = taken.setdefault((record.kind, record.key), (place, whole))
        # A file may be given twice: what is the same needs no word.
        if later is not whole and later != whole:
            warnings.append(
                f"{place} has no effect, because {later_place} has the same id, and the later counts. Give each "
                "an id of its own."
            )
        return later is whole

    last_checks = [
        check for source, check in reversed([*checks]) if is_last(check, check, f'{source}: check "{check.id}"')
    ]
    last_services = []
    for source, each in reversed([*services]):
        place = f'{source}: service "{each.service.id}"'
        if is_last(each.service, each, place):
            kept = tuple(
                check
                for check in each.checks
                if is_last(check, check, f'{source}: check "{check.id}" of service "{each.service.id}"')
            )
            last_services.append(msgspec.structs.replace(each, checks=kept))
    return Definitions(
        tuple(reversed(last_services)),
        tuple(reversed(last_checks)),
        watches,
        {name: place for name, (place, _) in taken.items()},
        tuple(reversed(warnings)),
    )


def check_definitions(config: AgentConfig) -> tuple[str, ...]:
    """Says whether an agent could take in what these files define; what has no effect of it, in sentences.

    Raises:
        ConfigError: as it would be told at the agent's start.
    """
    return read_definitions(config, config.kind_rule, node=config.node_name).warnings


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
    for warning in definitions.warnings:
        logger.warning("%s", warning)
    places = definitions.places
    wanted = {each.service.key for each in definitions.services}
    wanted_checks = {check.key for check in definitions.checks}
    for each in definitions.services:
        wanted_checks |= {check.key for check in each.checks}
        wanted_checks |= each.sidecar.check_keys() if each.sidecar else set()
    for each in definitions.services:
        service = each.service
        if _is_held_by_another(catalog.services.get(service.key), f'service "{service.id}"'):
            continue
        registration = msgspec.structs.replace(_left_to_callers(catalog, each), new_incarnation=new_id())
        plan = functools.partial(register_service, wanted=registration, now_s=wall_clock())
        await _write(writer, plan, places[service.kind, service.key])
    for check in definitions.checks:
        if not _is_held_by_another(catalog.checks.get(check.key), f'check "{check.id}"'):
            plan = functools.partial(register_check, check=check)
            await _write(writer, plan, places[check.kind, check.key])
    services_before, checks_before = managed_by(catalog, node, "config")
    for stale in checks_before:
        if stale.record.key not in wanted_checks:
            plan = functools.partial(deregister_check, node=node, check_id=stale.record.id)
            await _write(writer, plan, f'the end of check "{stale.record.id}"')
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
            await _write(writer, plan, f'the end of service "{held.record.id}"')


def _left_to_callers(catalog: Catalog, wanted: Registration) -> Registration:
    """The registration without those of its checks, and without the sidecar, that a caller holds."""
    of_service = f'of service "{wanted.service.id}"'
    checks = tuple(
        check
        for check in wanted.checks
        if not _is_held_by_another(catalog.checks.get(check.key), f'check "{check.id}" {of_service}')
    )
    sidecar = wanted.sidecar
    if sidecar is not None:
        found = catalog.services.get(sidecar.service.key)
        if _is_held_by_another(found, f'the sidecar "{sidecar.service.id}" {of_service}'):
            sidecar = None
    return msgspec.structs.replace(wanted, checks=checks, sidecar=sidecar)


def _is_held_by_another(entry: Any, what: str) -> bool:
    if entry is None or entry.record.manager == "config":
        return False
    if entry.record.manager == "server":
        logger.warning(
            "%s is defined in the configuration without effect, for the id is the agent's own; take another", what
        )
        return True
    logger.warning(
        "%s is defined in the configuration, but held by a caller (%s); it is left as it is. Deregister it, and "
        "reload the agent, to have the configuration's.",
        what,
        entry.record.manager,
    )
    return True


async def _write(writer: CatalogWriter, plan: Plan, place: str) -> None:
    """Writes what the definition at `place` wants, or says why that can't be."""
    try:
        await writer.write(plan, cause=caused_by("config", reason="the agent's configuration files"))
    except CallerError as error:
        logger.error(  # noqa: TRY400 - the text says all
            "%s in the configuration has no effect, until that is mended and the agent reloaded: %s", place, error
        )
