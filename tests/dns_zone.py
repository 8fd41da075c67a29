"""A zone over a catalog, without sockets: for tests of what is answered."""

import random

from regista.model import Batch, Delete, Put
from regista.protocols.dns import Answerer, DnsSettings, Explainer, Names, Resolver, SoaSettings, Zone

NAMES = Names(domains=(("consul",),), datacenter="dc1", suffixes={})


class Nobody:
    """No recursors."""

    def __bool__(self):
        return False


def answerer(catalog, settings, *, names=NAMES, is_unknown=lambda _: False, wall_clock=lambda: 1.0):
    return Answerer(
        catalog,
        Zone((b"consul",), "dc1", "n1", SoaSettings(), 0, {}),
        names,
        settings,
        threshold_default=0,
        is_unknown=is_unknown,
        shuffle=lambda _: None,
        wall_clock=wall_clock,
    )


def resolver(catalog, *, names=NAMES, recursors=None, rng=None, clock=lambda: 0.0, **fields):
    settings = DnsSettings(**fields)
    return Resolver(
        answerer(catalog, settings, names=names, wall_clock=clock),
        catalog.topics,
        recursors or Nobody(),
        settings,
        rng=rng or random.Random(1),
        clock=clock,
    )


def explainer(catalog, *, is_unknown=lambda _: False, recursors=(), is_served=True, **fields):
    settings = DnsSettings(**fields)
    return Explainer(
        catalog,
        answerer(catalog, settings, is_unknown=is_unknown),
        settings,
        domain="consul",
        datacenter="dc1",
        recursors=recursors,
        is_served=is_served,
        rng=random.Random(1),
    )


def put(catalog, *records, replaces=None):
    """Applies a batch that puts these, in the place of that record if one is given."""
    catalog.apply(Batch(catalog.index + 1, 0.0, tuple(Put(each, replaces) for each in records)))


def delete(catalog, *records):
    """Applies a batch that deletes these."""
    catalog.apply(Batch(catalog.index + 1, 0.0, tuple(Delete(each) for each in records)))
