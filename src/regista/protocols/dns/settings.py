"""What can be set of the DNS server."""

from __future__ import annotations

import dataclasses

from regista.model import setting


@dataclasses.dataclass(frozen=True, slots=True)
class DnsSettings:
    """What can be set of DNS, see each field's text. The first ones are Consul's, with its defaults."""

    node_ttl_s: float = setting(
        0.0,
        "How long others may keep an answer about a node. Longer spares questions; shorter follows changes "
        "sooner.",
        unit="s",
        at_least=0,
        at_most=7 * 86400,
    )
    only_passing: bool = setting(
        False,
        "Leaves out instances with a check in warning too, not only those that are critical.",
    )
    udp_answer_limit: int = setting(
        3,
        "How many instances an answer over UDP to a question without EDNS lists, 8 at the most: a sample by "
        "weight, another each time. More spreads callers wider; fewer keeps answers small.",
        at_least=1,
        at_most=1000,
    )
    a_record_limit: int = setting(
        0,
        "How many addresses any answer lists at the most; 0 for all that fit.",
        at_least=0,
        at_most=65535,
    )
    enable_truncate: bool = setting(
        False,
        "Says that an answer is cut (TC) also where `udp_answer_limit` has cut it, so that callers ask again over "
        "TCP for all. An answer that is cut because it would not fit always says so.",
    )
    disable_compression: bool = setting(
        False,
        "Writes every name out in full, for clients that can't read compressed ones.",
    )
    enable_additional_node_meta_txt: bool = setting(
        True,
        "Adds the metadata of nodes as TXT records to answers that name nodes.",
    )
    recursor_timeout_s: float = setting(
        2.0,
        "How long one recursor may take for its answer, before the next is asked.",
        unit="s",
        at_least=0.05,
        at_most=60,
    )
    recursor_strategy: str = setting(
        "sequential",
        "In which order recursors are asked: `sequential`, as they are listed, or `random`.",
    )
    recursions_max: int = setting(
        1024,
        "How many questions may be with recursors at once; one more gets SERVFAIL.",
        at_least=0,
        at_most=100_000,
    )
    edns_bytes_max: int = setting(
        4096,
        "How large an answer over UDP may be where the client takes that much (EDNS). 1232 never gets fragmented.",
        unit="bytes",
        at_least=512,
        # No packet over IPv4 has room for more (RFC 768): 65535 less its two headers.
        at_most=65535 - 20 - 8,
    )
    cache_entries_max: int = setting(
        20_000,
        "How many answers are kept ready for the same question, and of how many names and types it is kept what "
        "there is to say, for questions that are spelled otherwise. 0 keeps none.",
        at_least=0,
        at_most=10_000_000,
    )
    source_answers_per_s: int = setting(
        2000,
        "How many questions over UDP a second one address is answered; beyond, every other question gets an empty "
        "answer that says to ask over TCP, and the rest nothing. So nobody can have answers sent in bulk to an "
        "address that is not theirs. This machine's own addresses (127.0.0.0/8, ::1) are exempt. 0 for no limit.",
        at_least=0,
        at_most=10_000_000,
    )
    sources_max: int = setting(
        10_000,
        "Of how many addresses it is kept how many questions they ask; the oldest are forgotten first.",
        at_least=100,
        at_most=10_000_000,
    )
    tcp_connections_max: int = setting(
        1024,
        "How many connections over TCP may be open; one more is closed at once.",
        at_least=1,
        at_most=1_000_000,
    )
    tcp_connections_per_source_max: int = setting(
        256,
        "How many connections over TCP one address may have, so that nobody takes them all; one more is closed at "
        "once. This machine's own addresses are exempt. More lets a crowd behind one address ask over TCP; fewer "
        "leaves more to others.",
        at_least=1,
        at_most=1_000_000,
    )
    tcp_idle_s: float = setting(
        10.0,
        "How long a connection over TCP may be silent before it is closed.",
        unit="s",
        at_least=0.05,
        at_most=3600,
    )
