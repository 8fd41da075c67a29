"""The Consul HTTP API: what clients of Consul say and hear.

`fields` and `decode*` read what callers write, `encode` writes what they read, `reads` holds what all reads share,
`routes` lists the paths. What a request does to the registry is the catalog's and the health room's.
"""

from regista.protocols.consul.caching import CachedQuestions
from regista.protocols.consul.context import Context, Health, Identity, Metric, Writer
from regista.protocols.consul.decode import read_service
from regista.protocols.consul.decode_check import read_check
from regista.protocols.consul.questions import QUESTION, HealthQuestion, read_health_question
from regista.protocols.consul.routes import consul_routes
from regista.protocols.consul.settings import EventSettings, KvSettings

__all__ = [
    "QUESTION",
    "CachedQuestions",
    "Context",
    "EventSettings",
    "Health",
    "HealthQuestion",
    "Identity",
    "KvSettings",
    "Metric",
    "Writer",
    "consul_routes",
    "read_check",
    "read_health_question",
    "read_service",
]
