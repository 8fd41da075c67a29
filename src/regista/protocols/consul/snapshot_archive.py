"""The file of a snapshot: a gzip'd tar with `meta.json`, `state.bin` and `SHA256SUMS`, in that order, as Consul's.

`state.bin` is Regista's own: a line of JSON that says so, then one line for each record. So a snapshot of Consul's
can be told from Regista's, and neither can be taken for the other.

Pure, but for the memory that it takes: the state is held twice, once as text.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable
from typing import Any

import msgspec

from regista.model import KINDS, BadInput, Entry, Record, TooLarge, decode_record, encode_record

_META, _STATE, _SUMS = "meta.json", "state.bin", "SHA256SUMS"
_MODE = 0o600
_META_VERSION = 1
_FORMAT = "regista-snapshot"
_FORMAT_VERSION = 1
_GZIP_BITS = 31  # a gzip header and trailer, with the largest window
_TAR_MEMBERS_MAX = 3

_UNREADABLE = "failed to read snapshot file: failed reading snapshot: "


@dataclasses.dataclass(frozen=True, slots=True)
class SnapshotOrigin:
    """Where and when a snapshot is made.

    Attributes:
        index: the state is that after this transaction.
        at_s: in seconds since the epoch.
    """

    index: int
    at_s: float
    node_id: str
    server_address: str


def encode_archive(entries: Iterable[Entry[Record]], origin: SnapshotOrigin) -> bytes:
    """The file with all these records."""
    head = {"Format": _FORMAT, "Version": _FORMAT_VERSION, "Index": origin.index}
    state = bytearray(msgspec.json.encode(head) + b"\n")
    for entry in entries:
        record = entry.record
        state += b'["%b",%b]\n' % (record.kind.encode(), encode_record(record))
    server = {"Suffrage": 0, "ID": origin.node_id, "Address": origin.server_address}
    meta = msgspec.json.encode(
        {
            "Version": _META_VERSION,
            "ID": f"1-{origin.index}-{int(origin.at_s * 1000)}",
            "Index": origin.index,
            "Term": 1,
            "Peers": base64.b64encode(b"").decode(),
            "Configuration": {"Servers": [server]},
            "ConfigurationIndex": 1,
            "Size": len(state),
        }
    )
    sums = b"".join(
        b"%b  %b\n" % (hashlib.sha256(content).hexdigest().encode(), name.encode())
        for name, content in ((_META, meta), (_STATE, state))
    )
    packed = io.BytesIO()
    # The time is that of the snapshot, so that the same state makes the same file.
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=int(origin.at_s)) as zipped,
        tarfile.open(fileobj=zipped, mode="w|") as tar,
    ):
        for name, content in ((_META, meta), (_STATE, state), (_SUMS, sums)):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), _MODE, int(origin.at_s)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def decode_archive(archive: bytes, *, bytes_max: int) -> list[Record]:
    """The records in a file, after all of it was checked.

    Args:
        bytes_max: how large it may be once it is unpacked.

    Raises:
        BadInput: it is damaged, or none of Regista's; in Consul's words.
        TooLarge: it is over the limit.
    """
    members = _members(_unpacked(archive, bytes_max))
    _check_sums(members)
    return _records(members[_STATE])


def _unpacked(archive: bytes, bytes_max: int) -> bytes:
    if not archive:
        raise _damaged("failed to decompress snapshot: EOF")
    if archive[:2] != b"\x1f\x8b":
        raise _damaged("failed to decompress snapshot: gzip: invalid header")
    decompressor = zlib.decompressobj(_GZIP_BITS)
    try:
        unpacked = decompressor.decompress(archive, bytes_max + 1)
    except zlib.error as error:
        raise _damaged(f"failed to decompress snapshot: {error}") from error
    if len(unpacked) > bytes_max:
        raise TooLarge(
            f"the snapshot is larger than {bytes_max} bytes once it is unpacked; http.snapshot_bytes_max in the "
            "agent's configuration is the limit",
            limit_bytes=bytes_max,
            limit="http.snapshot_bytes_max",
        )
    if not decompressor.eof:
        raise _damaged(f"{_UNREADABLE}unexpected EOF")
    if decompressor.unused_data:
        raise _damaged("failed to decompress snapshot: there are more bytes behind its end")
    return unpacked


def _members(unpacked: bytes) -> dict[str, bytes]:
    """The three files by name."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is None or member.name in found or len(found) == _TAR_MEMBERS_MAX:
                    raise _damaged(f'{_UNREADABLE}unexpected file "{member.name[:100]}" in snapshot')
                found[member.name] = content.read()
                if len(found[member.name]) != member.size:
                    raise _damaged(f"{_UNREADABLE}unexpected EOF")
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(f"{_UNREADABLE}{error}") from error
    for name in (_META, _STATE, _SUMS):
        if name not in found:
            raise _damaged(
                f'failed to read snapshot file: failed checking integrity of snapshot: "{name}" is missing'
            )
    return found


def _check_sums(members: dict[str, bytes]) -> None:
    failed = "failed to read snapshot file: failed checking integrity of snapshot: "
    try:
        lines = members[_SUMS].decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise _damaged(f"{failed}{_SUMS} is no list of sums") from error
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if set(sums) != {_META, _STATE} or len(lines) != len(sums):
        raise _damaged(f"{failed}{_SUMS} does not list the files of the snapshot")
    for name, digest in sums.items():
        if hashlib.sha256(members[name]).hexdigest() != digest:
            raise _damaged(f"{failed}hash check failed for {name}")


def _records(state: bytes) -> list[Record]:
    head, _, rest = state.partition(b"\n")
    version = _version_of(head)
    if version != _FORMAT_VERSION:
        raise BadInput(
            f"failed to restore snapshot: its records have version {version}; this Regista knows "
            f"{_FORMAT_VERSION}. Restore it with the version of Regista that saved it, or a later one"
        )
    records: list[Record] = []
    keys: set[tuple[str, str]] = set()
    for number, line in enumerate(rest.splitlines(), start=2):
        try:
            kind, value = _line_decoder.decode(line)
            if kind not in KINDS:
                raise BadInput(
                    f'failed to restore snapshot: it holds records of kind "{kind[:100]}", which this Regista '
                    "does not know. Restore it with a later version"
                )
            record = decode_record(kind, bytes(value))
        except msgspec.MsgspecError as error:
            raise BadInput(f"failed to restore snapshot: line {number} of {_STATE}: {error}") from error
        if (record.kind, record.key) in keys:
            raise BadInput(f"failed to restore snapshot: {record.kind} {record.key} is there twice")
        keys.add((record.kind, record.key))
        records.append(record)
    return records


_line_decoder = msgspec.json.Decoder(tuple[str, msgspec.Raw])


def _version_of(head: bytes) -> Any:
    """The version of the records, by the state's first line."""
    try:
        fields = msgspec.json.decode(head, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        fields = {}
    if fields.get("Format") != _FORMAT:
        raise BadInput(
            "failed to restore snapshot: it is sound, but its state is not one of Regista's. A snapshot of "
            "Consul's can't be read here; register services anew, and copy the key-value store with consul kv "
            "export"
        )
    return fields.get("Version")


def _damaged(problem: str) -> BadInput:
    return BadInput(f"{problem}. Nothing was changed; send the file as GET /v1/snapshot gave it")
