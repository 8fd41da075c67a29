"""Regista: a service registry and discovery system.

Services register with it, it watches their health, and programs, proxies and people ask it where a healthy
instance is. `docs/` has the guides; each room's `__init__.py` says what lives in it.
"""

__version__ = "0.1.0"

CONSUL_VERSION = "1.9.0"
"""The version of Consul whose API and command line are followed; clients decide by it what they may ask for."""
