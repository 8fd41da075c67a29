"""The routes of all HTTP doors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from regista.agent.past import PastReplicas
from regista.health import Scheduler
from regista.protocols import consul, native
from regista.protocols.http import HttpServer, Route
from regista.store import Store


def all_routes(
    context: consul.Context,
    *,
    log: Store,
    past: PastReplicas,
    scheduler: Scheduler,
    history: native.HistorySettings,
    http: Callable[[], HttpServer],
) -> tuple[Route, ...]:
    """The routes, with their handlers; a new HTTP door is a line here.

    Args:
        context: what the Consul door works with; the others see the same replica.
        http: the server that will answer them.
    """
    routes: tuple[Route, ...] = ()
    own = native.Context(
        catalog=context.catalog,
        log=log,
        past=past,
        deadlines=scheduler,
        # The doors do not know each other, but a question has one meaning.
        read_question=lambda request: consul.read_health_question(request, context),
        question_parameters=consul.QUESTION,
        node_name=context.identity.node_name,
        version=context.identity.version,
        routes=lambda: routes,
        busiest=lambda by, count: http().busiest(by, count),
        settings=history,
        wall_clock=context.wall_clock,
    )
    routes = (*consul.consul_routes(context), *native.native_routes(own))
    return routes


class _Nothing:
    """Has every attribute, and each is nothing again."""

    def __getattr__(self, name: str) -> _Nothing:
        return self


def described_routes() -> tuple[Route, ...]:
    """The routes without an agent behind them: for what is told of them, not to be called."""
    nothing = cast("Any", _Nothing())
    return all_routes(nothing, log=nothing, past=nothing, scheduler=nothing, history=nothing, http=nothing)
