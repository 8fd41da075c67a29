"""What a snapshot's file says of itself: a compressed archive of metadata, state and their hashes. Pure."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import tarfile
import zlib

META_FILE = "meta.json"
STATE_FILE = "state.bin"
SUMS_FILE = "SHA256SUMS"

_GZIP_MAGIC = b"\x1f\x8b"


class SnapshotDamaged(Exception):
    """The file is no snapshot, or not as it was written."""


@dataclasses.dataclass(frozen=True, slots=True)
class SnapshotContent:
    """What the metadata says.

    Attributes:
        size_bytes: of the state.
    """

    id: str
    size_bytes: int
    index: int
    term: int
    version: int


def read_snapshot(data: bytes) -> SnapshotContent:
    """The metadata of a snapshot whose every part has the hash that it names.

    Raises:
        SnapshotDamaged: see there.

    Source: Consul 1.9, the archive of its snapshots.
    """
    files = _read_files(data)
    lines = (line.split() for line in files[SUMS_FILE].decode("utf-8", "replace").splitlines())
    sums = {words[1]: words[0] for words in lines if len(words) == 2}
    for name in (META_FILE, STATE_FILE):
        if sums.get(name) != hashlib.sha256(files[name]).hexdigest():
            raise SnapshotDamaged(f"{name} is not what its hash says; take another copy of the file.")
    try:
        meta = json.loads(files[META_FILE])
        return SnapshotContent(
            id=str(meta["ID"]),
            size_bytes=int(meta["Size"]),
            index=int(meta["Index"]),
            term=int(meta["Term"]),
            version=int(meta["Version"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotDamaged(f"{META_FILE} can't be read: {error}.") from error


def _read_files(data: bytes) -> dict[str, bytes]:
    files = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
            for member in archive:
                opened = archive.extractfile(member)
                if opened is not None:
                    files[member.name] = opened.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        # The library's words for it show the first bytes as Python spells them.
        is_gzip = data.startswith(_GZIP_MAGIC)
        raise SnapshotDamaged(
            f"it is no snapshot: {error if is_gzip else 'it does not begin as gzip does'}."
        ) from error
    missing = [name for name in (META_FILE, STATE_FILE, SUMS_FILE) if name not in files]
    if missing:
        raise SnapshotDamaged(f"it is no snapshot: {', '.join(missing)} is missing.")
    return files
