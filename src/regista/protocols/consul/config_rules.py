"""What must hold for a configuration entry of the service kinds by itself, and what is made of it before.

A rule takes an entry's name and fields, and returns the fields as they are kept. What must hold among several
entries is the catalog's (`config_chains`). The rules of gateways are in `config_gateway_rules.py`.

Source: Consul 1.9, `Normalize` and `Validate` of each kind (behaviour); what later versions refuse is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from regista.model import BadInput, parse_duration_s
from regista.protocols.consul.config_outliers import check_outliers

Fields = dict[str, Any]
Rule = Callable[[str, Fields], Fields]

_SUBSET = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))
_BALANCERS = ("", "random", "round_robin", "least_request", "ring_hash", "maglev")
_HASHING = ("ring_hash", "maglev")
_HASH_FIELDS = ("header", "cookie", "query_parameter")
_RETRY_CONDITIONS = frozenset(
    (
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "envoy-ratelimited",
        "retriable-4xx",
        "refused-stream",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    )
)
_WEIGHT_SUM = 10_000
"""All weights together, in hundredths of a percent; compared as whole numbers, because floats don't add up."""
_DESCRIPTION_CHARACTERS_MAX = 512
_TPROXY_MODES = ("", "direct", "transparent")
_MUTUAL_TLS_MODES = ("", "strict", "permissive")


def bad_entry(problem: str, field: str = "") -> BadInput:
    """The error for an entry that can't be used."""
    return BadInput(problem, field=field)


def _check_proxy_modes(fields: Fields) -> None:
    if fields.get("Mode", "") not in _TPROXY_MODES:
        raise bad_entry(f'invalid proxy mode: "{fields["Mode"]}" not supported; use direct or transparent', "Mode")
    if fields.get("MutualTLSMode", "") not in _MUTUAL_TLS_MODES:
        raise bad_entry(
            f'Invalid MutualTLSMode "{fields["MutualTLSMode"]}". Must be one of "", "strict", or "permissive".',
            "MutualTLSMode",
        )


def service_defaults(name: str, fields: Fields) -> Fields:
    """The rule for `service-defaults`."""
    if not name:
        raise bad_entry("serviceName is required: Name is required", "Name")
    if name == "*":
        raise bad_entry("service-defaults name must be the name of a service, and not a wildcard", "Name")
    _check_proxy_modes(fields)
    if fields.get("BalanceInboundConnections", "") not in ("", "exact_balance"):
        raise bad_entry(
            f"invalid value for balance_inbound_connections: {fields['BalanceInboundConnections']}",
            "BalanceInboundConnections",
        )
    check_outliers(fields)
    threshold = fields.get("PanicThreshold", 0)
    if not 0 <= threshold <= 100:
        raise bad_entry(f"PanicThreshold must be a percentage from 0 to 100, not {threshold}", "PanicThreshold")
    destination = fields.get("Destination")
    if destination is None:
        return fields
    if fields.get("UpstreamConfig") is not None:
        raise bad_entry(
            "UpstreamConfig and Destination are mutually exclusive for service defaults", "Destination"
        )
    addresses = destination.get("Addresses", [])
    if not addresses:
        raise bad_entry("Destination must contain at least one valid address", "Destination.Addresses")
    for position, address in enumerate(addresses):
        if address in addresses[:position]:
            raise bad_entry(f"Duplicate address '{address}' is not allowed", "Destination.Addresses")
    port = destination.get("Port", 0)
    if not 1 <= port <= 65535:
        raise bad_entry(f"Invalid Port number {port}", "Destination.Port")
    return fields


def proxy_defaults(_name: str, fields: Fields) -> Fields:
    """The rule for `proxy-defaults`."""
    _check_proxy_modes(fields)
    return fields


# ---- router ----


def service_router(name: str, fields: Fields) -> Fields:
    """The rule for `service-router`."""
    _require_name(name)
    for position, route in enumerate(fields.get("Routes", ())):
        _check_route(route, f"Route[{position}]")
    return fields


def _check_route(route: Fields, where: str) -> None:
    http = (route.get("Match") or {}).get("HTTP") or {}
    _check_paths(http, f"{where} ")
    for position, header in enumerate(http.get("Header", ())):
        _check_header(header, f"{where} Header[{position}]")
    for position, query in enumerate(http.get("QueryParam", ())):
        prefix = f"{where} QueryParam[{position}]"
        if not query.get("Name"):
            raise bad_entry(f"{prefix} missing required Name field", where)
        if sum(bool(query.get(each)) for each in ("Present", "Exact", "Regex")) > 1:
            raise bad_entry(f"{prefix} should only contain one of Present, Exact, or Regex", where)
    _check_methods(http, f"{where} ")
    destination = route.get("Destination") or {}
    if destination.get("PrefixRewrite") and not (http.get("PathExact") or http.get("PathPrefix")):
        raise bad_entry(
            f"{where} cannot make use of PrefixRewrite without configuring either PathExact or PathPrefix", where
        )
    for condition in destination.get("RetryOn", ()):
        if condition not in _RETRY_CONDITIONS:
            raise bad_entry(f'{where} contains an invalid retry condition: "{condition}"', where)


def _check_paths(http: Fields, where: str) -> None:
    for field in ("PathExact", "PathPrefix"):
        if http.get(field) and not http[field].startswith("/"):
            raise bad_entry(f"{where}{field} doesn't start with '/': \"{http[field]}\"", field)
    if sum(bool(http.get(each)) for each in ("PathExact", "PathPrefix", "PathRegex")) > 1:
        raise bad_entry(
            f"{where}should only contain at most one of PathExact, PathPrefix, or PathRegex", "PathExact"
        )


def _check_header(header: Fields, where: str) -> None:
    if not header.get("Name"):
        raise bad_entry(f"{where} missing required Name field", where)
    ways = ("Present", "Exact", "Prefix", "Suffix", "Contains", "Regex")
    if sum(bool(header.get(each)) for each in ways) > 1:
        raise bad_entry(f"{where} should only contain one of Present, Exact, Prefix, Suffix, or Regex", where)


def _check_methods(http: Fields, where: str) -> None:
    methods = http.get("Methods", [])
    for position, method in enumerate(methods):
        if method not in _METHODS:
            raise bad_entry(f'{where}Methods contains an invalid method "{method}"', "Methods")
        if method in methods[:position]:
            raise bad_entry(f'{where}Methods contains "{method}" more than once', "Methods")


# ---- splitter ----


def service_splitter(name: str, fields: Fields) -> Fields:
    """The rule for `service-splitter`: weights are rounded to hundredths."""
    _require_name(name)
    splits = [{**split, "Weight": _hundredths(split["Weight"]) / 100} for split in fields.get("Splits", ())]
    if not splits:
        raise bad_entry("no splits configured", "Splits")
    seen = set()
    for split in splits:
        weight = split["Weight"]
        split["Weight"] = int(weight) if weight == int(weight) else weight
        destination = (split.get("Service") or name, split.get("ServiceSubset", ""))
        if destination in seen:
            raise bad_entry(
                f'split destination occurs more than once: service="{destination[0]}", '
                f'subset="{destination[1]}", namespace=""',
                "Splits",
            )
        seen.add(destination)
        if not 0 <= weight <= 100:
            raise bad_entry(f"split weight must be from 0 to 100, not {weight:f}", "Splits")
    total = sum(_hundredths(split["Weight"]) for split in splits)
    if total != _WEIGHT_SUM:
        raise bad_entry(f"the sum of all split weights must be 100, not {total / 100:f}", "Splits")
    return {**fields, "Splits": splits}


def _hundredths(weight: float) -> int:
    return int(weight * 100 + 0.5)


# ---- resolver ----


def service_resolver(name: str, fields: Fields) -> Fields:
    """The rule for `service-resolver`."""
    _require_name(name)
    subsets: Fields = fields.get("Subsets", {})
    for subset in sorted(subsets):
        if not subset:
            raise bad_entry("Subset defined with empty name", "Subsets")
        if not _SUBSET.fullmatch(subset):
            raise bad_entry(
                f'Subset "{subset}" is invalid: must be 63 characters or fewer, begin or end with lower case '
                "alphanumeric characters, and contain lower case alphanumeric characters or '-' in between",
                "Subsets",
            )
    default = fields.get("DefaultSubset", "")
    if default and default not in subsets:
        raise bad_entry(f'DefaultSubset "{default}" is not a valid subset', "DefaultSubset")
    _check_redirect(name, fields, subsets)
    for subset, failover in sorted(fields.get("Failover", {}).items()):
        _check_failover(name, subset, failover, subsets)
    for field in ("ConnectTimeout", "RequestTimeout"):
        if field in fields and parse_duration_s(fields[field]) < 0:
            raise bad_entry(f"Bad {field} '{fields[field]}', must be >= 0", field)
    if fields.get("LoadBalancer") is not None:
        _check_balancer(fields["LoadBalancer"])
    return fields


def _check_redirect(name: str, fields: Fields, subsets: Fields) -> None:
    redirect = fields.get("Redirect")
    if redirect is None:
        return
    if fields.get("Failover"):
        raise bad_entry("Redirect and Failover cannot both be set", "Redirect")
    if not redirect:
        raise bad_entry("Redirect is empty", "Redirect")
    subset, service = redirect.get("ServiceSubset", ""), redirect.get("Service", "")
    if subset and not service:
        raise bad_entry("Redirect.ServiceSubset defined without Redirect.Service", "Redirect.ServiceSubset")
    if subset and service == name and subset not in subsets:
        raise bad_entry(
            f'Redirect.ServiceSubset "{subset}" is not a valid subset of "{name}"', "Redirect.ServiceSubset"
        )


def _check_failover(name: str, subset: str, failover: Fields, subsets: Fields) -> None:
    field = f"Failover[{subset}]"
    where = f'Bad Failover["{subset}"]'
    if subset not in ("*", *subsets):
        raise bad_entry(f"{where}: not a valid subset", field)
    if failover.get("Targets"):
        if failover.keys() & {"Service", "ServiceSubset", "Datacenters"}:
            raise bad_entry(f"{where}: Targets cannot be set with Service, ServiceSubset, or Datacenters", field)
        return
    if not failover.keys() & {"Service", "ServiceSubset", "Datacenters"}:
        raise bad_entry(f"{where} one of Service, ServiceSubset, Namespace, or Datacenters is required", field)
    target, wanted = failover.get("Service") or name, failover.get("ServiceSubset", "")
    if wanted and target == name and wanted not in subsets:
        raise bad_entry(f'{where}.ServiceSubset "{wanted}" is not a valid subset of "{target}"', field)
    if "" in failover.get("Datacenters", ()):
        raise bad_entry(f"{where}.Datacenters: found empty datacenter", field)


def _check_balancer(balancer: Fields) -> None:
    policy = balancer.get("Policy", "")
    if policy not in _BALANCERS:
        raise bad_entry(f'Bad LoadBalancer policy: "{policy}" is not supported', "LoadBalancer.Policy")
    for field, fitting in (("RingHashConfig", "ring_hash"), ("LeastRequestConfig", "least_request")):
        if balancer.get(field) is not None and policy != fitting:
            raise bad_entry(
                f"Bad LoadBalancer configuration. {field} specified for incompatible load balancing policy "
                f'"{policy}"',
                f"LoadBalancer.{field}",
            )
    policies = balancer.get("HashPolicies", [])
    if policies and policy not in _HASHING:
        raise bad_entry(
            f'Bad LoadBalancer configuration: HashPolicies specified for non-hash-based Policy: "{policy}"',
            "LoadBalancer.HashPolicies",
        )
    for position, each in enumerate(policies):
        problem = _hash_policy_problem(each)
        if problem:
            raise bad_entry(f"Bad LoadBalancer HashPolicy[{position}]: {problem}", "LoadBalancer.HashPolicies")


def _hash_policy_problem(policy: Fields) -> str:
    """What is wrong with it; "" for nothing."""
    field, value = policy.get("Field", ""), policy.get("FieldValue", "")
    if field and field not in _HASH_FIELDS:
        return f'"{field}" is not a supported field'
    if policy.get("SourceIP") and (field or value):
        return 'A single hash policy cannot hash both a source address and a "field"'
    if field and not value:
        return f'Field "{field}" was specified without a FieldValue'
    if not field and (value or not policy.get("SourceIP")):
        return "FieldValue requires a Field to apply to" if value else "Field or SourceIP is required"
    cookie = policy.get("CookieConfig")
    if cookie is not None and field != "cookie":
        return f'cookie_config provided for "{field}"'
    if cookie is not None and cookie.get("Session") and cookie.get("TTL"):
        return "A session cookie cannot have an associated TTL"
    return ""


# ---- intentions ----


def service_intentions(name: str, fields: Fields) -> Fields:
    """The rule for `service-intentions`: sources get their type and precedence, and come in its order."""
    _require_name(name)
    _check_wildcard(name, "Name")
    sources = [
        {**source, "Precedence": _precedence(source["Name"], name), "Type": source.get("Type") or "consul"}
        for source in fields.get("Sources", ())
    ]
    if not sources:
        raise bad_entry("At least one source is required", "Sources")
    seen = set()
    for position, source in enumerate(sources):
        _check_source(name, source, f"Sources[{position}]")
        caller = (source["Name"], source.get("Peer", ""))
        if caller in seen:
            raise bad_entry(f'Sources[{position}] defines "{source["Name"]}" more than once', "Sources")
        seen.add(caller)
    sources.sort(key=lambda source: -source["Precedence"])
    return {**fields, "Sources": sources}


def _check_source(name: str, source: Fields, where: str) -> None:
    if not source["Name"]:
        raise bad_entry(f"{where}.Name is required", where)
    _check_wildcard(source["Name"], f"{where}.Name")
    permissions = source.get("Permissions", [])
    action = source.get("Action", "")
    if permissions and action:
        raise bad_entry(f"{where}.Action must be omitted if Permissions are specified", where)
    if permissions and "*" in name:
        raise bad_entry(
            f"{where}.Permissions cannot be specified on intentions with wildcarded destinations", where
        )
    if not permissions and action not in ("allow", "deny"):
        raise bad_entry(f"{where}.Action must be set to 'allow' or 'deny'", where)
    for position, permission in enumerate(permissions):
        _check_permission(permission, f"{where}.Permissions[{position}]")
    if source["Type"] != "consul":
        raise bad_entry(f"{where}.Type must be set to 'consul'", where)
    if len(source.get("Description", "")) > _DESCRIPTION_CHARACTERS_MAX:
        raise bad_entry(f"{where}.Description exceeds maximum length {_DESCRIPTION_CHARACTERS_MAX}", where)
    for field in ("LegacyID", "LegacyMeta"):
        if source.get(field):
            raise bad_entry(f"{where}.{field} must be omitted", where)


def _check_permission(permission: Fields, where: str) -> None:
    if permission.get("Action", "") not in ("allow", "deny"):
        raise bad_entry(f"{where}.Action must be set to 'allow' or 'deny'", where)
    http = permission.get("HTTP")
    if http is None and permission.get("JWT") is None:
        raise bad_entry(f"{where}.HTTP is required", where)
    if http is None:
        return
    if not http:
        raise bad_entry(f"{where}.HTTP should not be empty", where)
    _check_paths(http, f"{where}.HTTP ")
    for position, header in enumerate(http.get("Header", ())):
        _check_header(header, f"{where}.HTTP.Header[{position}]")
    _check_methods(http, f"{where}.HTTP.")


def _check_wildcard(name: str, where: str) -> None:
    if "*" in name and name != "*":
        raise bad_entry(f"{where}: wildcard character '*' cannot be used with partial values", where)


def _precedence(source: str, destination: str) -> int:
    """How much an intention counts beside others; of the highest one what it says is done.

    Source: Consul 1.9, `structs.computeIntentionPrecedence`, without namespaces.
    """
    if destination == "*":
        return 5 if source == "*" else 6
    return 8 if source == "*" else 9


def _require_name(name: str) -> None:
    if not name:
        raise bad_entry("Name is required", "Name")
