"""The fixtures that the integration tests share."""

from tests.agents import agent, kept_agent, shared_agent

__all__ = ["agent", "kept_agent", "shared_agent"]
