"""The parameters that many routes of the Consul door share, described once."""

from __future__ import annotations

from regista.protocols.http import Parameter

DC = Parameter("dc", "The datacenter; another than this agent's is refused.")
NS = Parameter("ns", "A namespace; neither Regista nor the open Consul has any, so a name is refused.")
PRETTY = Parameter("pretty", "Indents the answer.", "boolean")
INDEX = Parameter(
    "index", "Waits until the answer has changed after this index, as `X-Consul-Index` gave it.", "integer"
)
WAIT = Parameter("wait", "How long to wait at the most, such as `30s`.", "duration")
STALE = Parameter("stale", "Any server may answer.", "boolean")
MAX_STALE = Parameter("max_stale", "How old the answer may be; more than nothing means `stale`.", "duration")
CACHED = Parameter("cached", "An answer from a cache will do; `X-Cache` says whether it is one.", "boolean")
CONSISTENT = Parameter("consistent", "The answer has every write acknowledged before, anywhere.", "boolean")
NEAR = Parameter("near", "Sorts by distance from this node; `_agent` is this agent's.")
VERSION = Parameter(
    "version", "A range of versions, such as `^1.2`, in which `version` of the instance's metadata must be."
)
AT = Parameter("at", "Answers as of then: an index, or a time such as `2026-11-24T07:08:09Z`.")
NODE_META = Parameter("node-meta", "`key:value` that the node must have; all of them.", is_repeatable=True)
FILTER = Parameter("filter", "An expression over the fields of the answer's entries.")
TAG = Parameter(
    "tag", "A tag that the instance must have; all of them, without regard to case.", is_repeatable=True
)
META = Parameter("meta", "`key:value` that the instance must have; all of them.", is_repeatable=True)
PASSING = Parameter("passing", "Only instances whose every check is passing.", "boolean")
FALLBACK = Parameter(
    "fallback",
    "What else would do where nothing is found, in order, parted by commas: `warning`, `any`, or another service.",
    is_repeatable=True,
)
HASH = Parameter("hash", "What the caller knows already; the answer waits, or says, if it is another.")
INCARNATION = Parameter("incarnation", "The life of the instance that the caller speaks for.")
NOTE = Parameter("note", "What is to be shown as the check's output.")
FORMAT = Parameter("format", "`text` for a single word instead of JSON.")

SEGMENT = Parameter("segment", "Only coordinates that were measured in this segment of the network.")
CAS = Parameter("cas", "Only if it was last changed at this index; 0 for what is not there yet.", "integer")

PLAIN_READ = (DC, PRETTY, INDEX, WAIT, STALE, MAX_STALE, CONSISTENT)
"""Of reads that can wait and know no namespaces."""

READ = (NS, *PLAIN_READ)
"""Of every other read that can wait."""

LOCAL_READ = (NS, PRETTY)
"""Of reads of the agent's own things, which answer at once."""

PLAIN_LISTS = (*PLAIN_READ, FILTER, NODE_META, NEAR)
LISTS = (NS, *PLAIN_LISTS)
"""Of reads that list what is on nodes."""
