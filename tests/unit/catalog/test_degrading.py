"""Panic and fallback against what they promise, over any statuses."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.catalog import (
    Available,
    Catalog,
    DegradedFinding,
    Lookup,
    Terms,
    elsewhere_of,
    find_available,
    find_instances,
    parse_range,
)
from regista.catalog.degrading import decide_panic, is_withdrawn, panic_threshold
from regista.catalog.own_checks import DRAIN_PREFIX
from regista.model import Batch, Check, ConfigEntry, Put, Record, Service

WITHDRAWN = {"drained": DRAIN_PREFIX, "mended": "_service_maintenance:"}

kinds = st.lists(st.sampled_from(["passing", "warning", "critical", *WITHDRAWN]), max_size=8)
thresholds = st.sampled_from([0, 1, 30, 50, 99.5, 100])


def records_of(name: str, statuses: list[str], threshold: float | None = None) -> list[Record]:
    """A service with an instance for each status, and its own threshold."""
    records: list[Record] = []
    for number, status in enumerate(statuses):
        service_id = f"{name}-{number}"
        records.append(Service(node="n1", id=service_id, name=name, tags=(status,), meta={"of": name}))
        check_id = WITHDRAWN[status] + service_id if status in WITHDRAWN else f"check-{service_id}"
        shown = "critical" if status in WITHDRAWN else status
        check = Check(node="n1", id=check_id, name="c", status=shown, service_id=service_id, service_name=name)
        records.append(msgspec.structs.replace(check, type="drain") if status == "drained" else check)
    if threshold is not None:
        fields = {"PanicThreshold": threshold}
        records.append(ConfigEntry(entry_kind="service-defaults", name=name, fields=fields))
    return records


def catalog_of(*records: Record) -> Catalog:
    catalog = Catalog()
    catalog.apply(Batch(1, 0.0, tuple(Put(record) for record in records)))
    return catalog


def available(catalog: Catalog, lookup: Lookup, **terms) -> Available:
    def lookups_for(service: str) -> list[Lookup]:
        return [lookup if service == lookup.name else elsewhere_of(lookup, service)]

    return find_available(catalog, lookup.name, Terms(**terms), lookups_for=lookups_for)


def ids(found: Available) -> list[str]:
    return [each.service.record.id for each in found.instances]


PASSING_WEB = Lookup("web", passing_only=True)


# ---- panic ----


@given(kinds, thresholds)
def test_a_panic_is_exactly_below_the_threshold(statuses, threshold):
    """Below the threshold the answer is all but those taken out on purpose, and otherwise those that pass."""
    catalog = catalog_of(*records_of("web", statuses, threshold))
    found = available(catalog, PASSING_WEB)
    there = [number for number, status in enumerate(statuses) if status not in WITHDRAWN]
    passing = [number for number in there if statuses[number] == "passing"]
    is_panic = bool(there) and 100 * len(passing) / len(there) < threshold
    assert ids(found) == [f"web-{number}" for number in (there if is_panic else passing)]
    told = (DegradedFinding(usable=len(passing), of=len(there), threshold=threshold),)
    assert found.findings == (told if is_panic else ())


@given(kinds)
def test_without_a_threshold_nothing_is_different(statuses):
    """The answer is that of the plain look-up, whatever is asked for."""
    catalog = catalog_of(*records_of("web", statuses))
    for lookup in (PASSING_WEB, Lookup("web"), Lookup("web", tags=("passing",)), Lookup("absent")):
        assert available(catalog, lookup) == Available(find_instances(catalog, lookup))


@given(kinds, thresholds)
def test_who_does_not_ask_for_health_gets_all(statuses, threshold):
    """Without `passing` there is nothing to degrade."""
    catalog = catalog_of(*records_of("web", statuses, threshold))
    found = available(catalog, Lookup("web"), fallbacks=("any", "warning"))
    assert (len(found.instances), found.findings) == (len(statuses), ())


def test_the_share_is_that_of_the_instances_wanted():
    """Instances with other tags, and those that a filter drops, don't count in the share."""
    catalog = catalog_of(*records_of("web", ["passing", "critical", "critical"], 50))
    assert ids(available(catalog, msgspec.structs.replace(PASSING_WEB, tags=("passing",)))) == ["web-0"]
    kept = available(catalog, PASSING_WEB, keeps=lambda each: each.service.record.id != "web-2")
    assert (ids(kept), kept.findings) == (["web-0"], ())
    assert len(ids(available(catalog, PASSING_WEB, keeps=lambda each: True))) == 3


def test_the_default_is_for_services_without_their_own():
    """A service's own threshold counts, 0 too; the default for all others; what is no number counts as none."""
    catalog = catalog_of(
        ConfigEntry(entry_kind="service-defaults", name="own", fields={"PanicThreshold": 0}),
        ConfigEntry(entry_kind="service-defaults", name="other", fields={"Protocol": "http"}),
        ConfigEntry(entry_kind="service-defaults", name="odd", fields={"PanicThreshold": "50"}),
    )
    found = {name: panic_threshold(catalog, name, default=7) for name in ("OWN", "other", "odd", "absent")}
    assert found == {"OWN": 0, "other": 7, "odd": 7, "absent": 7}


@pytest.mark.parametrize(
    ("usable", "of", "threshold", "is_panic"),
    [
        (5, 10, 50, False),
        (4, 10, 50, True),
        (0, 0, 100, False),
        (0, 5, 0, False),
        (9, 10, 100, True),
        (0, 1, 1, True),
    ],
)
def test_the_bounds_of_a_panic(usable, of, threshold, is_panic):
    """A share at the threshold is none, nor is 0 or an empty service; at 100 one that fails is enough."""
    assert decide_panic(usable=usable, of=of, threshold=threshold) is is_panic


# ---- fallback ----

FAILING = records_of("web", ["critical", "warning", "drained", "mended"])
BACKUP = records_of("backup", ["critical", "passing"])


@pytest.mark.parametrize(
    ("fallbacks", "found", "told"),
    [
        ((), [], []),
        (("warning",), ["web-1"], ["fallback=warning"]),
        (("any",), ["web-0", "web-1"], ["fallback=any"]),
        (("backup",), ["backup-1"], ["fallback=backup"]),
        (("absent", "BACKUP", "any"), ["backup-1"], ["fallback=BACKUP"]),
        (("absent",), [], []),
    ],
)
def test_the_first_fallback_that_has_anything_counts(fallbacks, found, told):
    """Fallbacks are tried in order, never bring back who was taken out on purpose, and are named."""
    result = available(catalog_of(*FAILING, *BACKUP), PASSING_WEB, fallbacks=fallbacks)
    assert (ids(result), [str(each) for each in result.findings]) == (found, told)


@given(kinds, thresholds, st.permutations(["warning", "any", "backup"]))
def test_a_fallback_is_for_empty_answers_only(statuses, threshold, fallbacks):
    """What is found without fallbacks, in a panic too, is not changed by them."""
    catalog = catalog_of(*records_of("web", statuses, threshold), *BACKUP)
    plain = available(catalog, PASSING_WEB)
    with_fallbacks = available(catalog, PASSING_WEB, fallbacks=tuple(fallbacks))
    assert with_fallbacks == plain or not plain.instances
    assert not any(is_withdrawn(each.checks) for each in with_fallbacks.instances)


def test_another_service_is_not_asked_for_what_only_the_first_has():
    """Tags, metadata and versions are the first service's own; health, node and order are the caller's."""
    asked = Lookup(
        "web",
        tags=("v1",),
        meta=(("a", "b"),),
        node_meta=(("c", "d"),),
        version=parse_range("^1"),
        passing_only=True,
        near="n1",
        within_mesh=True,
    )
    assert elsewhere_of(asked, "backup") == Lookup(
        "backup", node_meta=(("c", "d"),), passing_only=True, near="n1", within_mesh=True
    )


def test_findings_are_harmless_in_a_header():
    """Names are escaped, so that no service can be called so that it ends the header or the item."""
    told = [
        DegradedFinding(fallback="a\r\nb,c;d=é"),
        DegradedFinding(service="x, y", usable=1, of=2, threshold=99.5),
    ]
    assert [str(each) for each in told] == [
        "fallback=a%0D%0Ab%2Cc%3Bd%3D%C3%A9",
        "panic; passing=1; of=2; threshold=99.5%; service=x%2C%20y",
    ]
