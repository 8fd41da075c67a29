"""docs/reference/clients.md, made from what the clients' programs say.

Usage, from the root of the repository: .venv/bin/python -m tests.clients.page
It starts an agent for each client and needs all their tools.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.agents import running_agent
from tests.clients import runs

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "clients.md"
MAKE = ".venv/bin/python -m tests.clients.page"

NOT_OFFERED = "-"

FEATURES = {
    "register": "register an instance, and read it back",
    "deregister": "deregister it",
    "heartbeats": "heartbeats that pass, warn and fail",
    "checks": "checks on their own: TTL, HTTP, TCP",
    "maintenance": "maintenance of an instance and of the node",
    "agent": "the agent itself, members, leader, peers",
    "catalog": "the catalog",
    "catalog writes": "nodes and instances that no agent keeps",
    "health": "health, with tags and `passing`",
    "filter": "filter expressions",
    "blocking": "blocking queries",
    "watches": "the client's own watches",
    "kv": "keys: read, list, write, check-and-set, delete",
    "kv blocking": "blocking queries on keys",
    "transactions": "transactions",
    "sessions": "sessions",
    "locks": "locks",
    "semaphores": "semaphores",
    "events": "user events",
    "prepared queries": "prepared queries",
    "coordinates": "network coordinates",
    "config entries": "config entries",
    "snapshots": "snapshots",
    "errors": "mistakes, told by the client's own errors",
}
"""What the programs call a row of the table, and what the page calls it."""

_HEAD = """# Clients

Programs that others wrote for Consul, run unchanged against an agent. Each row of the table is a part of a small
program below `tests/clients/` that uses the client as its own documentation does, over a real socket, and checks what
comes back; `tests/integration/test_clients.py` runs them all and compares them with this page.

**yes**: it works; **no**: it does not; `{not_offered}`: the client has no words for it, or the program does not try it.

"""

_TAIL = """
Prometheus is its own discovery, from the configuration to the targets, built from its module: Debian's package is
built without `consul_sd_configs`.

Not in the table: consulate 0.6.0 (Python). It reads no answer of any server since Python 3.9, which took away an
argument of `json.loads` that it uses.

## What to know about a client

- **hashicorp/consul/api** writes fields that Consul 1.9 refuses as unknown, such as `ExposedPort` of a check in the
  catalog. Here they are accepted.
- **Prometheus** gives `filter` to `catalog/services`, which Consul takes since 1.14, and so does Regista.
- **consul for Node.js** gives `undefined`, not `false`, for a write that was refused by its check-and-set or lock, and
  nothing for `query.explain`; both are in the package, not in the answer.
- **py-consul, python-consul and python-consul2** all install a module `consul`; have only one of them in an
  environment. python-consul2 leaves the payload of events in base64.

This page is made by `{make}`.
"""


def render(results: Mapping[str, Mapping[str, str]]) -> str:
    """The page.

    Args:
        results: for each client by its name, "yes" or "no" for each feature that its program names.
    """
    heads = [f"{client.name} {client.version}".strip() for client in runs.ALL]
    rows = [
        [title, *(results[client.name].get(feature, NOT_OFFERED) for client in runs.ALL)]
        for feature, title in FEATURES.items()
    ]
    table = [["Feature", *heads], ["---", *(":-:" for _ in heads)], *rows]
    lines = "".join(f"| {' | '.join(row)} |\n" for row in table)
    return _HEAD.format(not_offered=NOT_OFFERED) + lines + _TAIL.format(make=MAKE)


def results_on(page: str) -> dict[str, dict[str, str]]:
    """What the table of the page says, in the form that `render` takes."""
    rows = [line.strip("| \n").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    cells = {row[0]: row[1:] for row in rows[2:]}
    return {
        client.name: {
            feature: cells[title][column]
            for feature, title in FEATURES.items()
            if title in cells and cells[title][column] != NOT_OFFERED
        }
        for column, client in enumerate(runs.ALL)
    }


def main() -> None:
    """Runs every client and writes the page."""
    results = {}
    for client in runs.ALL:
        if missing := client.missing():
            sys.exit(f"{missing}. Install it; the page needs every client.")
        with tempfile.TemporaryDirectory() as folder, running_agent(folder) as agent:
            output = client.run(agent.http)
        sys.stdout.write(f"{client.name}\n{output}")
        results[client.name] = runs.features_of(output)
    PAGE.write_text(render(results), encoding="utf-8")


if __name__ == "__main__":
    main()
