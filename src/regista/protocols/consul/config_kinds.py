"""The kinds of configuration entries: which fields each has, in the order in which Consul shows them.

A new kind is a table, a line in `CONFIG_KINDS`, and what must hold for it in `config_rules.py`.

Source: Consul 1.9 (recorded answers); kinds and fields that came later as HashiCorp's documentation has them.
"""

from __future__ import annotations

import dataclasses

from regista.protocols.consul.config_fields import (
    Field,
    Fields,
    duration,
    flag,
    free,
    ignored,
    integer,
    list_of,
    lower_text,
    map_of,
    number,
    object_of,
    optional,
    part,
    text,
    upper_text,
)
from regista.protocols.consul.config_outliers import FIELD, OUTLIER_DETECTION

_TEXT = Field(text)
_TEXTS = Field(list_of(text))
_FLAG = Field(flag)
_INTEGER = Field(integer)
_DURATION = Field(duration)
_ALWAYS_TEXT = Field(text, is_always_shown=True, empty="")
_FREE_MAP = Field(map_of(free))


def _objects(fields: Fields) -> Field:
    return Field(list_of(object_of(fields)))


_META = Field(map_of(text))
_MESH_GATEWAY = part({"Mode": _TEXT})
_EXPOSE = part(
    {
        "Checks": _FLAG,
        "Paths": _objects(
            {
                "ListenerPort": _INTEGER,
                "Path": _TEXT,
                "LocalPathPort": _INTEGER,
                "Protocol": _TEXT,
                "ParsedFromCheck": _FLAG,
            }
        ),
    }
)
_TRANSPARENT_PROXY = optional({"OutboundListenerPort": _INTEGER, "DialedDirectly": _FLAG})
_EXTENSIONS = _objects(
    {
        "Name": _TEXT,
        "Required": _FLAG,
        "Arguments": _FREE_MAP,
        "ConsulVersion": _TEXT,
        "EnvoyVersion": _TEXT,
    }
)
_LIMITS = optional({"MaxConnections": _INTEGER, "MaxPendingRequests": _INTEGER, "MaxConcurrentRequests": _INTEGER})
_PASSIVE_HEALTH_CHECK = optional(
    {
        "Interval": _DURATION,
        "MaxFailures": _INTEGER,
        "EnforcingConsecutive5xx": _INTEGER,
        "MaxEjectionPercent": _INTEGER,
        "BaseEjectionTime": _DURATION,
    }
)
_HEADERS = optional({"Add": _META, "Set": _META, "Remove": _TEXTS})
_UPSTREAM: Fields = {
    "Name": _TEXT,
    "Peer": _TEXT,
    "EnvoyListenerJSON": _TEXT,
    "EnvoyClusterJSON": _TEXT,
    "Protocol": _TEXT,
    "ConnectTimeoutMs": _INTEGER,
    "Limits": _LIMITS,
    "PassiveHealthCheck": _PASSIVE_HEALTH_CHECK,
    "MeshGateway": _MESH_GATEWAY,
    "BalanceOutboundConnections": _TEXT,
}
_RATE: Fields = {"RequestsPerSecond": _INTEGER, "RequestsMaxBurst": _INTEGER}
_PATHS: Fields = {"PathExact": _TEXT, "PathPrefix": _TEXT, "PathRegex": _TEXT}
_JWT = optional(
    {
        "Providers": _objects(
            {"Name": _TEXT, "VerifyClaims": _objects({"Path": _TEXTS, "Value": _TEXT})},
        )
    }
)
_HEADER_MATCHES = _objects(
    {
        "Name": _TEXT,
        "Present": _FLAG,
        "Exact": _TEXT,
        "Prefix": _TEXT,
        "Suffix": _TEXT,
        "Contains": _TEXT,
        "Regex": _TEXT,
        "Invert": _FLAG,
        "IgnoreCase": _FLAG,
    }
)
_METHODS = Field(list_of(upper_text))

_SERVICE_DEFAULTS: Fields = {
    "Protocol": Field(lower_text),
    "Mode": _TEXT,
    "TransparentProxy": _TRANSPARENT_PROXY,
    "MutualTLSMode": _TEXT,
    "MeshGateway": _MESH_GATEWAY,
    "Expose": _EXPOSE,
    "ExternalSNI": _TEXT,
    "UpstreamConfig": optional({"Overrides": _objects(_UPSTREAM), "Defaults": optional(_UPSTREAM)}),
    "Destination": optional({"Addresses": _TEXTS, "Port": _INTEGER}),
    "MaxInboundConnections": _INTEGER,
    "LocalConnectTimeoutMs": _INTEGER,
    "LocalRequestTimeoutMs": _INTEGER,
    "BalanceInboundConnections": _TEXT,
    # Regista's own; 0 is not the same as nothing, for the agent may have another default.
    "PanicThreshold": Field(number, is_shown_if_given=True),
    FIELD: OUTLIER_DETECTION,
    "RateLimits": optional({"InstanceLevel": part({**_RATE, "Routes": _objects({**_PATHS, **_RATE})})}),
    "EnvoyExtensions": _EXTENSIONS,
}

_PROXY_DEFAULTS: Fields = {
    "Config": _FREE_MAP,
    "Mode": _TEXT,
    "TransparentProxy": _TRANSPARENT_PROXY,
    "MutualTLSMode": _TEXT,
    "MeshGateway": _MESH_GATEWAY,
    "Expose": _EXPOSE,
    "AccessLogs": optional(
        {
            "Enabled": _FLAG,
            "DisableListenerLogs": _FLAG,
            "Type": _TEXT,
            "Path": _TEXT,
            "JSONFormat": _TEXT,
            "TextFormat": _TEXT,
        }
    ),
    "EnvoyExtensions": _EXTENSIONS,
    "FailoverPolicy": optional({"Mode": _TEXT, "Regions": _TEXTS}),
    "PrioritizeByLocality": optional({"Mode": _TEXT}),
}

_SERVICE_ROUTER: Fields = {
    "Routes": _objects(
        {
            "Match": optional(
                {
                    "HTTP": optional(
                        {
                            **_PATHS,
                            "CaseInsensitive": _FLAG,
                            "Header": _HEADER_MATCHES,
                            "QueryParam": _objects(
                                {"Name": _TEXT, "Present": _FLAG, "Exact": _TEXT, "Regex": _TEXT}
                            ),
                            "Methods": _METHODS,
                        }
                    )
                }
            ),
            "Destination": optional(
                {
                    "RequestTimeout": _DURATION,
                    "IdleTimeout": _DURATION,
                    "Service": _TEXT,
                    "ServiceSubset": _TEXT,
                    "PrefixRewrite": _TEXT,
                    "NumRetries": _INTEGER,
                    "RetryOnConnectFailure": _FLAG,
                    "RetryOn": _TEXTS,
                    "RetryOnStatusCodes": Field(list_of(integer)),
                    "RequestHeaders": _HEADERS,
                    "ResponseHeaders": _HEADERS,
                }
            ),
        }
    )
}

_SERVICE_SPLITTER: Fields = {
    "Splits": _objects(
        {
            "Weight": Field(number, is_always_shown=True, empty=0),
            "Service": _TEXT,
            "ServiceSubset": _TEXT,
            "RequestHeaders": _HEADERS,
            "ResponseHeaders": _HEADERS,
        }
    )
}

_SERVICE_RESOLVER: Fields = {
    "DefaultSubset": _TEXT,
    "Subsets": Field(map_of(object_of({"Filter": _TEXT, "OnlyPassing": _FLAG}))),
    "Redirect": optional(
        {
            "Service": _TEXT,
            "ServiceSubset": _TEXT,
            "Datacenter": _TEXT,
            "Peer": _TEXT,
        }
    ),
    "Failover": Field(
        map_of(
            object_of(
                {
                    "Service": _TEXT,
                    "ServiceSubset": _TEXT,
                    "Datacenters": _TEXTS,
                    "Targets": _objects(
                        {"Service": _TEXT, "ServiceSubset": _TEXT, "Datacenter": _TEXT, "Peer": _TEXT}
                    ),
                    "Policy": optional({"Mode": _TEXT, "Regions": _TEXTS}),
                }
            )
        )
    ),
    "PrioritizeByLocality": optional({"Mode": _TEXT}),
    "LoadBalancer": optional(
        {
            "Policy": _TEXT,
            "RingHashConfig": optional({"MinimumRingSize": _INTEGER, "MaximumRingSize": _INTEGER}),
            "LeastRequestConfig": optional({"ChoiceCount": _INTEGER}),
            "HashPolicies": _objects(
                {
                    "Field": _TEXT,
                    "FieldValue": _TEXT,
                    "CookieConfig": optional({"TTL": _DURATION, "Session": _FLAG, "Path": _TEXT}),
                    "SourceIP": _FLAG,
                    "Terminal": _FLAG,
                }
            ),
        }
    ),
}

_TLS: Fields = {"TLSMinVersion": _TEXT, "TLSMaxVersion": _TEXT, "CipherSuites": _TEXTS}
_SDS = optional({"ClusterName": _TEXT, "CertResource": _TEXT})
_ALWAYS_FLAG = Field(flag, is_always_shown=True, empty=False)
_GATEWAY_TLS: Fields = {"Enabled": _ALWAYS_FLAG, "SDS": _SDS, **_TLS}
_GATEWAY_LIMITS: Fields = {
    "MaxConnections": _INTEGER,
    "MaxPendingRequests": _INTEGER,
    "MaxConcurrentRequests": _INTEGER,
    "PassiveHealthCheck": _PASSIVE_HEALTH_CHECK,
}

_INGRESS_GATEWAY: Fields = {
    "TLS": part(_GATEWAY_TLS),
    "Listeners": Field(
        list_of(
            object_of(
                {
                    "Port": Field(integer, is_always_shown=True, empty=0),
                    "Protocol": Field(lower_text),
                    "Services": Field(
                        list_of(
                            object_of(
                                {
                                    "Name": _ALWAYS_TEXT,
                                    "Hosts": Field(list_of(text), is_always_shown=True),
                                    "TLS": optional({"SDS": _SDS}),
                                    "RequestHeaders": _HEADERS,
                                    "ResponseHeaders": _HEADERS,
                                    **_GATEWAY_LIMITS,
                                }
                            )
                        ),
                        is_always_shown=True,
                    ),
                    "TLS": optional(_GATEWAY_TLS),
                }
            )
        ),
        is_always_shown=True,
    ),
    "Defaults": optional(_GATEWAY_LIMITS),
}

_TERMINATING_GATEWAY: Fields = {
    "Services": Field(
        list_of(
            object_of(
                {
                    "Name": _ALWAYS_TEXT,
                    "CAFile": _TEXT,
                    "CertFile": _TEXT,
                    "KeyFile": _TEXT,
                    "SNI": _TEXT,
                    "DisableAutoHostRewrite": _FLAG,
                }
            )
        ),
        is_always_shown=True,
    )
}

_SERVICE_INTENTIONS: Fields = {
    "JWT": _JWT,
    "Sources": _objects(
        {
            "Name": _ALWAYS_TEXT,
            "Peer": _TEXT,
            "Action": _TEXT,
            "Permissions": _objects(
                {
                    "Action": _TEXT,
                    "HTTP": optional({**_PATHS, "Header": _HEADER_MATCHES, "Methods": _METHODS}),
                    "JWT": _JWT,
                }
            ),
            "Precedence": _INTEGER,
            "LegacyID": _TEXT,
            "Type": _TEXT,
            "Description": _TEXT,
            "LegacyMeta": _META,
            "LegacyCreateTime": Field(ignored),
            "LegacyUpdateTime": Field(ignored),
        }
    ),
}

_MESH: Fields = {
    "TransparentProxy": part({"MeshDestinationsOnly": _ALWAYS_FLAG}),
    "AllowEnablingPermissiveMutualTLS": _FLAG,
    "ValidateClusters": _FLAG,
    "TLS": optional({"Incoming": optional(_TLS), "Outgoing": optional(_TLS)}),
    "HTTP": optional({"SanitizeXForwardedClientCert": _ALWAYS_FLAG}),
    "Peering": optional({"PeerThroughMeshGateways": _FLAG}),
}

_EXPORTED_SERVICES: Fields = {
    "Services": Field(
        list_of(object_of({"Name": _ALWAYS_TEXT, "Consumers": _objects({"Peer": _TEXT, "SamenessGroup": _TEXT})})),
        is_always_shown=True,
    )
}


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigKind:
    """One kind of entry.

    Attributes:
        fields: without those that all kinds have.
        only_name: that of the only entry there can be; "" where each has its own.
        first: fields that are shown before the kind, as Consul does with durations.
    """

    fields: Fields
    only_name: str = ""
    first: Fields = dataclasses.field(default_factory=dict)


CONFIG_KINDS: dict[str, ConfigKind] = {
    "service-defaults": ConfigKind(_SERVICE_DEFAULTS),
    "proxy-defaults": ConfigKind(_PROXY_DEFAULTS, only_name="global"),
    "service-router": ConfigKind(_SERVICE_ROUTER),
    "service-splitter": ConfigKind(_SERVICE_SPLITTER),
    "service-resolver": ConfigKind(
        _SERVICE_RESOLVER, first={"ConnectTimeout": _DURATION, "RequestTimeout": _DURATION}
    ),
    "ingress-gateway": ConfigKind(_INGRESS_GATEWAY),
    "terminating-gateway": ConfigKind(_TERMINATING_GATEWAY),
    "service-intentions": ConfigKind(_SERVICE_INTENTIONS),
    "mesh": ConfigKind(_MESH, only_name="mesh"),
    "exported-services": ConfigKind(_EXPORTED_SERVICES, only_name="default"),
}
"""Every kind by its name; of any other there are no entries."""

COMMON_FIELDS: Fields = {
    "Kind": _ALWAYS_TEXT,
    "Name": _ALWAYS_TEXT,
    "Meta": _META,
    "CreateIndex": Field(ignored),
    "ModifyIndex": Field(ignored),
}
"""Of all kinds."""
