"""The Consul HTTP API: what clients of Consul say and hear.

`fields` and `decode*` read what callers write, `encode` writes what they read, `reads` holds what all reads share,
`routes` lists the paths. What a request does to the registry is the catalog's and the health room's.
"""

from regista.protocols.consul.caching import CachedQuestions
from regista.protocols.consul.check_kinds import refuse_kind, refuse_kinds
from regista.protocols.consul.context import Context, Control, Health, Identity, Metric, Writer
from regista.protocols.consul.decode import read_service
from regista.protocols.consul.decode_check import read_check
from regista.protocols.consul.labels import DEGRADED_REASONS
from regista.protocols.consul.parameters import READ
from regista.protocols.consul.questions import (
    QUESTION,
    HealthQuestion,
    answer_read,
    encode_instance,
    label_answer,
    read_health_question,
)
from regista.protocols.consul.routes import consul_routes
from regista.protocols.consul.settings import DrainSettings, EventSettings, KvSettings
from regista.protocols.consul.standing import STANDINGS, PresentStanding

__all__ = [
    "DEGRADED_REASONS",
    "QUESTION",
    "READ",
    "STANDINGS",
    "CachedQuestions",
    "Context",
    "Control",
    "DrainSettings",
    "EventSettings",
    "Health",
    "HealthQuestion",
    "Identity",
    "KvSettings",
    "Metric",
    "PresentStanding",
    "Writer",
    "answer_read",
    "consul_routes",
    "encode_instance",
    "label_answer",
    "read_check",
    "read_health_question",
    "read_service",
    "refuse_kind",
    "refuse_kinds",
]
