"""Hypothesis strategies for what the log and its replicas hold.

Two families: `records(…)` and the ones for each kind draw any value a field can have, for codecs; `batch_lists`
draws from few names, so that the changes meet: renames, moves, deletions, and putting again.
"""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from regista.model import (
    Alert,
    AlertChannel,
    AlertMatcher,
    AlertNotice,
    AlertRule,
    AlertSilence,
    Autopilot,
    Batch,
    Change,
    Check,
    CheckDefinition,
    ConfigEntry,
    ConfigRevision,
    Coordinate,
    DeadLetter,
    Delete,
    Delivery,
    KvEntry,
    Node,
    PortClaim,
    PreparedQuery,
    Proxy,
    Put,
    QueryName,
    Record,
    Service,
    ServiceAddress,
    Session,
    SessionCheck,
    Subscription,
    Tombstone,
    Weights,
)

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
"""Any text that is Unicode, also with NUL, `/`, `%` and `@` in it."""

names = texts | st.sampled_from(
    ["a", "A", "a/b", "a%2fb", "a%", "a@b", "@", "/", "%", "\x00", "a\x00b", "a\x01b", "É"]
)
seconds = st.floats(0, 1e9)
counts = st.integers(0, 2**53)
statuses = st.sampled_from(["passing", "warning", "critical", "mine"])
managers = st.sampled_from(["agent", "catalog", "config", "server"])
metas = st.none() | st.dictionaries(texts, texts, max_size=3)
tag_tuples = st.lists(texts, max_size=3).map(tuple)

weights = st.builds(Weights, counts, counts)
service_addresses = st.builds(ServiceAddress, texts, st.integers(0, 65535))

nodes = st.builds(Node, name=names, id=texts, address=texts, tagged_addresses=metas, meta=metas, manager=managers)
services = st.builds(
    Service,
    node=names,
    id=names,
    name=names,
    tags=tag_tuples,
    address=texts,
    port=st.integers(0, 65535),
    meta=metas,
    weights=weights,
    tagged_addresses=st.none() | st.dictionaries(texts, service_addresses, max_size=2),
    enable_tag_override=st.booleans(),
    service_kind=texts | st.just("connect-proxy"),
    proxy=st.none() | st.builds(Proxy, destination_name=names, config=st.none() | st.just({"a": [1]})),
    is_native=st.booleans(),
    sidecar_of=names,
    ttl_s=seconds,
    incarnation=names,
    manager=managers,
)
check_definitions = st.builds(
    CheckDefinition,
    http=texts,
    method=texts,
    header=st.none() | st.dictionaries(texts, tag_tuples, max_size=2),
    body=texts,
    disable_redirects=st.booleans(),
    tls_skip_verify=st.booleans(),
    tls_server_name=texts,
    tcp=texts,
    ttl_s=seconds,
    interval_s=seconds,
    timeout_s=seconds,
    success_before_passing=counts,
    failures_before_warning=counts,
    failures_before_critical=counts,
    deregister_critical_service_after_s=seconds,
    output_bytes_max=counts,
)
checks = st.builds(
    Check,
    node=names,
    id=names,
    name=texts,
    status=statuses | texts,
    notes=texts,
    output=texts,
    service_id=names,
    service_name=texts,
    service_tags=tag_tuples,
    type=texts,
    definition=st.none() | check_definitions,
    manager=managers,
)
tombstones = st.builds(Tombstone, node=names, id=names, incarnation=names, reason=texts, at_s=seconds)

kv_entries = st.builds(
    KvEntry,
    key=names,
    value=st.binary(max_size=8),
    flags=st.integers(0, 2**64 - 1),
    lock_index=counts,
    session=texts,
)
sessions = st.builds(
    Session,
    id=names,
    node=names,
    name=texts,
    lock_delay_s=seconds,
    behavior=st.sampled_from(["release", "delete"]),
    ttl=texts,
    ttl_s=seconds,
    node_checks=tag_tuples,
    service_checks=st.none() | st.lists(st.builds(SessionCheck, names, texts), max_size=2).map(tuple),
    checks=tag_tuples,
)

coordinates = st.builds(
    Coordinate,
    node=names,
    segment=texts,
    vec=st.lists(seconds, max_size=8).map(tuple),
    error=seconds,
    adjustment=seconds,
    height=seconds,
)
json_values = st.recursive(
    st.none() | st.booleans() | counts | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
config_entries = st.builds(
    ConfigEntry,
    entry_kind=st.sampled_from(["service-defaults", "mesh"]),
    name=names,
    fields=st.dictionaries(texts, json_values, max_size=3),
)
config_revisions = st.builds(ConfigRevision, number=counts)
prepared_queries = st.builds(
    PreparedQuery,
    id=texts,
    name=names,
    session=texts,
    token=texts,
    template_type=st.sampled_from(["", "name_prefix_match"]),
    template_regexp=texts,
    drops_empty_tags=st.booleans(),
    service=names,
    failover_nearest_n=counts,
    failover_datacenters=st.none() | tag_tuples,
    only_passing=st.booleans(),
    ignore_check_ids=st.none() | tag_tuples,
    near=texts,
    tags=st.none() | tag_tuples,
    node_meta=metas,
    service_meta=metas,
    dns_ttl=texts,
)
port_claims = st.builds(PortClaim, node=names, port=st.integers(0, 65535), service_id=names)
autopilots = st.builds(Autopilot, max_trailing_logs=counts, last_contact_threshold_s=seconds)
query_names = st.builds(QueryName, name=names, query=texts)

subscriptions = st.builds(
    Subscription,
    id=texts,
    url=texts,
    secret=texts,
    name=texts,
    types=tag_tuples,
    services=tag_tuples,
    tags=tag_tuples,
    statuses=tag_tuples,
    nodes=tag_tuples,
    key_prefix=texts,
    after_index=st.none() | counts,
    previous_secret=texts,
    previous_until_s=seconds,
    headers=metas,
    is_enabled=st.booleans(),
    disabled_because=texts,
)
deliveries = st.builds(
    Delivery,
    subscription=texts,
    index=counts,
    position=st.none() | counts,
    attempts=counts,
    failing_since_s=seconds,
    dropped=counts,
)
dead_letters = st.builds(
    DeadLetter,
    subscription=texts,
    event=texts,
    type=texts,
    body=texts,
    at_s=seconds,
    attempts=counts,
    error=texts,
)

alert_rules = st.builds(
    AlertRule,
    name=texts,
    rule_kind=texts,
    service=texts,
    node=texts,
    check=texts,
    healthy_min=st.none() | counts,
    share_min=st.none() | seconds,
    file=texts,
    within_s=seconds,
    for_s=seconds,
    severity=texts,
    labels=metas,
    annotations=metas,
    group_by=tag_tuples,
    channels=tag_tuples,
    is_enabled=st.booleans(),
)
_labels = st.dictionaries(texts, texts, max_size=3)
alerts = st.builds(
    Alert,
    id=texts,
    rule=texts,
    subject=texts,
    labels=_labels,
    annotations=_labels,
    sentence=texts,
    value=seconds,
    group_by=tag_tuples,
    channels=tag_tuples,
    since_s=seconds,
    fired_at_s=seconds,
    resolved_at_s=seconds,
    resolved_because=texts,
)
alert_notices = st.builds(AlertNotice, channel=texts, group=_labels, told=tag_tuples, at_s=seconds)
alert_silences = st.builds(
    AlertSilence,
    id=texts,
    matchers=st.lists(st.builds(AlertMatcher, texts, texts, texts), max_size=2).map(tuple),
    starts_s=seconds,
    ends_s=seconds,
    author=texts,
    comment=texts,
)
alert_channels = st.builds(
    AlertChannel,
    name=texts,
    channel_kind=texts,
    url=texts,
    secret=texts,
    token=texts,
    tells_resolved=st.booleans(),
)

RECORDS_BY_KIND: dict[str, st.SearchStrategy[Record]] = {
    Node.kind: nodes,
    Service.kind: services,
    Check.kind: checks,
    Tombstone.kind: tombstones,
    KvEntry.kind: kv_entries,
    Session.kind: sessions,
    Coordinate.kind: coordinates,
    ConfigEntry.kind: config_entries,
    ConfigRevision.kind: config_revisions,
    PreparedQuery.kind: prepared_queries,
    QueryName.kind: query_names,
    PortClaim.kind: port_claims,
    Autopilot.kind: autopilots,
    Subscription.kind: subscriptions,
    Delivery.kind: deliveries,
    DeadLetter.kind: dead_letters,
    AlertRule.kind: alert_rules,
    Alert.kind: alerts,
    AlertNotice.kind: alert_notices,
    AlertSilence.kind: alert_silences,
    AlertChannel.kind: alert_channels,
}

records = st.one_of(*RECORDS_BY_KIND.values())
"""A record of any kind."""

_few_nodes = st.sampled_from(["n1", "N1", "n2"])
_few_ids = st.sampled_from(["a", "A", "b"])
_few_names = st.sampled_from(["web", "Web", "api"])
_few_metas = st.sampled_from([None, {"zone": "1"}, {"zone": "2", "rack": "r"}])
_few_tags = st.lists(st.sampled_from(["v1", "V1", "v2"]), max_size=2).map(tuple)
_few_statuses = st.sampled_from(["passing", "critical"])

meeting_records: st.SearchStrategy[Record] = st.one_of(
    st.builds(Node, name=_few_nodes, id=st.sampled_from(["", "i1", "i2"]), meta=_few_metas),
    st.builds(
        Service,
        node=_few_nodes,
        id=_few_ids,
        name=_few_names,
        tags=_few_tags,
        port=st.integers(1, 3),
        meta=_few_metas,
        is_native=st.booleans(),
    ),
    st.builds(
        Check,
        node=_few_nodes,
        id=st.sampled_from(["c", "C", "d"]),
        name=st.just("check"),
        status=_few_statuses,
        service_id=st.sampled_from(["", "a", "b"]),
        service_name=_few_names,
    ).map(lambda check: check if check.service_id else msgspec.structs.replace(check, service_name="")),
    st.builds(
        Tombstone,
        node=_few_nodes,
        id=_few_ids,
        incarnation=st.sampled_from(["x", "y"]),
        at_s=st.sampled_from([1.0, 2.0]),
    ),
    st.builds(Coordinate, node=_few_nodes, segment=st.sampled_from(["", "s"]), height=st.sampled_from([1.0, 2.0])),
    st.builds(
        ConfigEntry,
        entry_kind=st.sampled_from(["service-defaults", "mesh"]),
        name=_few_names,
        fields=st.sampled_from([{}, {"Protocol": "http"}]),
    ),
    st.builds(
        PreparedQuery,
        id=st.sampled_from(["q1", "q2"]),
        session=st.sampled_from(["", "s1", "s2"]),
        service=_few_names,
    ),
)
"""Records of few names, so that two of them often have one key."""

_wishes = st.lists(st.lists(st.tuples(st.booleans(), meeting_records), min_size=1, max_size=4), max_size=12)


def _as_batches(wishes: list[list[tuple[bool, Record]]]) -> list[Batch]:
    """Batches as plans make them: a deletion names what stands, a put what it replaces, no key twice in a batch."""
    held: dict[tuple[str, str], Record] = {}
    batches: list[Batch] = []
    for wish in wishes:
        changes: dict[tuple[str, str], Change] = {}
        for is_put, record in wish:
            key = (record.kind, record.key)
            before = held.get(key)
            if key in changes or (before is None and not is_put):
                continue
            changes[key] = Put(record, before) if is_put or before is None else Delete(before)
        for key, change in changes.items():
            if isinstance(change, Put):
                held[key] = change.record
            else:
                del held[key]
        if changes:
            index = len(batches) + 1
            batches.append(Batch(index, 1000.0 + index, tuple(changes.values())))
    return batches


batch_lists = _wishes.map(_as_batches)
"""Batches with the indexes 1, 2, 3 …, such as a store would give out."""
