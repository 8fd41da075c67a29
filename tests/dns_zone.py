"""A zone over a catalog, without sockets: for tests of what is answered."""

import random

from regista.model import Batch, Put
from regista.protocols.dns import Answerer, DnsSettings, Explainer, Names, Resolver, SoaSettings, Zone

NAMES = Names(domains=(("consul",),), datacenter="dc1", suffixes={})


class Nobody:
    """No recursors."""

    def __bool__(self):
        return False


def answerer(catalog, settings, *, is_unknown=lambda _: False):
    return Answerer(
        catalog,
        Zone((b"consul",), "dc1", "n1", SoaSettings(), 0, {}),
        settings,
        threshold_default=0,
        is_unknown=is_unknown,
        shuffle=lambda _: None,
        wall_clock=lambda: 1.0,
    )


def resolver(catalog, **fields):
    settings = DnsSettings(**fields)
    return Resolver(
        answerer(catalog, settings),
        NAMES,
        catalog.topics,
        Nobody(),
        settings,
        rng=random.Random(1),
        clock=lambda: 0.0,
    )


def explainer(catalog, *, is_unknown=lambda _: False, recursors=(), **fields):
    settings = DnsSettings(**fields)
    return Explainer(
        catalog,
        answerer(catalog, settings, is_unknown=is_unknown),
        NAMES,
        settings,
        domain="consul",
        recursors=recursors,
        rng=random.Random(1),
    )


def put(catalog, *records):
    """Applies a batch that puts these."""
    catalog.apply(Batch(catalog.index + 1, 0.0, tuple(Put(each) for each in records)))
