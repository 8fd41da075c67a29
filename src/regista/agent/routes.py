"""The routes of all HTTP doors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from regista.agent.past import PastReplicas
from regista.agent.store_state import StoreState
from regista.health import PassiveSettings, Scheduler
from regista.notify import AlertDesk, Webhooks
from regista.protocols import consul, native
from regista.protocols.http import ClientTraffic, Route
from regista.store import Store

Busiest = Callable[[Callable[[ClientTraffic], int], int], tuple[Sequence[ClientTraffic], int]]


def all_routes(
    context: consul.Context,
    *,
    log: Store,
    past: PastReplicas,
    feed: native.EventFeed,
    instances: native.InstanceFeed,
    limits: native.Limited,
    webhooks: Webhooks,
    alerts: AlertDesk,
    scheduler: Scheduler,
    store_state: StoreState,
    history: native.HistorySettings,
    passive: PassiveSettings,
    busiest: Busiest,
    explain_name: Callable[[str, str], Mapping[str, Any]],
) -> tuple[Route, ...]:
    """The routes, with their handlers; a new HTTP door is a line here.

    Args:
        context: what the Consul door works with; the others see the same replica.
        busiest: gives the first clients by a figure, see `HttpServer.busiest`.
        explain_name: explains an answer over DNS, see `Explainer.explain`.
    """
    routes: tuple[Route, ...] = ()
    own = native.Context(
        catalog=context.catalog,
        log=log,
        past=past,
        events=feed,
        instances=instances,
        limits=limits,
        webhooks=webhooks,
        alerts=alerts,
        new_id=context.new_id,
        deadlines=scheduler,
        guard=scheduler,
        passive=scheduler.passive,
        passive_settings=passive,
        # The doors do not know each other, but a question has one meaning.
        read_question=lambda request: consul.read_health_question(request, context),
        question_parameters=consul.QUESTION,
        answer_read=lambda request, **question: consul.answer_read(request, context, **question),
        read_parameters=consul.READ,
        store=store_state,
        hearing=scheduler.listening,
        degrading=context.degrading,
        node_name=context.identity.node_name,
        version=context.identity.version,
        routes=lambda: routes,
        busiest=busiest,
        explain_name=explain_name,
        settings=history,
        wall_clock=context.wall_clock,
    )
    routes = (*consul.consul_routes(context), *native.native_routes(own))
    return routes


class Nothing:
    """Has every attribute, and each is nothing again: in place of what is not used."""

    def __getattr__(self, name: str) -> Nothing:
        return self


def described_routes() -> tuple[Route, ...]:
    """The routes without an agent behind them: for what is told of them, not to be called."""
    nothing = cast("Any", Nothing())
    return replicated_routes(nothing, nothing)


def replicated_routes(context: consul.Context, instances: native.InstanceFeed) -> tuple[Route, ...]:
    """The routes with nothing but a replica behind them: those that need more are there, but not to be called."""
    nothing = cast("Any", Nothing())
    return all_routes(
        context,
        log=nothing,
        past=nothing,
        feed=nothing,
        instances=instances,
        limits=nothing,
        webhooks=nothing,
        alerts=nothing,
        scheduler=nothing,
        store_state=nothing,
        history=nothing,
        passive=nothing,
        busiest=nothing,
        explain_name=nothing,
    )
