"""The command line: it starts an agent, or speaks to one through its API. Knows no other room's insides."""

from regista.cli.commands import main

__all__ = ["main"]
