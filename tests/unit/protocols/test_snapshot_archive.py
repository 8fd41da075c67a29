"""The file of a snapshot: all of it, or a refusal."""

import gzip
import hashlib
import io
import random
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import records

from regista.model import BadInput, Entry, Node, Service, TooLarge
from regista.protocols.consul.snapshot_archive import SnapshotOrigin, decode_archive, encode_archive

ORIGIN = SnapshotOrigin(index=7, at_s=1_700_000_000.0, node_id="id", server_address="127.0.0.1:8500")
RECORDS = [Node(name="n1", address="10.0.0.1"), Service(node="n1", id="w\nx", name="web", meta={"k": "é"})]
ARCHIVE = encode_archive([Entry(record, 1, 2) for record in RECORDS], ORIGIN)
LARGE = 1024 * 1024


def files_of(archive):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def packed(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def with_state(state):
    """An archive that is sound in itself, with this state."""
    meta = b"{}"
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("meta.json", meta), ("state.bin", state))
    )
    return packed([("meta.json", meta), ("state.bin", state), ("SHA256SUMS", sums.encode())])


def test_the_files_are_consuls_in_consuls_order():
    """An archive holds meta.json, state.bin and SHA256SUMS, and its sums are those of the files."""
    files = files_of(ARCHIVE)
    assert list(files) == ["meta.json", "state.bin", "SHA256SUMS"]
    for line in files["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(files[name]).hexdigest() == digest


@given(st.lists(records, max_size=5, unique_by=lambda record: (record.kind, record.key)))
@settings(max_examples=40, deadline=None)
def test_what_goes_in_comes_out(kept):
    """Any records are the same once they were packed and unpacked."""
    archive = encode_archive([Entry(record, 1, 2) for record in kept], ORIGIN)
    assert decode_archive(archive, bytes_max=LARGE) == kept


def test_an_archive_that_was_cut_short_is_refused_wherever_the_cut_is():
    """No prefix of an archive is taken for a whole one."""
    for length in range(len(ARCHIVE)):
        with pytest.raises(BadInput):
            decode_archive(ARCHIVE[:length], bytes_max=LARGE)


def test_a_changed_byte_changes_no_record():
    """With any one byte changed, an archive is refused, or (in what gzip does not check) holds the same records."""
    for at in range(len(ARCHIVE)):
        damaged = bytearray(ARCHIVE)
        damaged[at] ^= random.Random(at).randrange(1, 256)
        try:
            found = decode_archive(bytes(damaged), bytes_max=LARGE)
        except BadInput:
            continue
        assert found == RECORDS


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"", "failed to decompress snapshot: EOF"),
        (b"not a snapshot", "gzip: invalid header"),
        (ARCHIVE + b"x", "more bytes behind"),
        (gzip.compress(b"", mtime=0), "failed to read snapshot file"),
        (gzip.compress(b"garbage" * 1000, mtime=0), "failed to read snapshot file"),
        (packed([("state.bin", b"")]), '"meta.json" is missing'),
        (packed([*files_of(ARCHIVE).items(), ("more", b"")]), 'unexpected file "more"'),
        (packed([*list(files_of(ARCHIVE).items())[:2], ("SHA256SUMS", b"00  meta.json\n")]), "does not list"),
        (
            packed([("meta.json", b"other"), *list(files_of(ARCHIVE).items())[1:]]),
            "hash check failed for meta.json",
        ),
        (with_state(b"\x81\xa9LastIndex\x07"), "not one of Regista's"),
        (with_state(b'{"Format":"regista-snapshot","Version":2,"Index":1}\n'), "records have version 2"),
        (with_state(b'{"Format":"regista-snapshot","Version":1}\n["dream",{}]\n'), 'kind "dream"'),
        (with_state(b'{"Format":"regista-snapshot","Version":1}\n["node",{}]\n'), "line 2 of state.bin"),
        (
            with_state(b'{"Format":"regista-snapshot","Version":1}\n' + b'["node",{"name":"a"}]\n' * 2),
            "there twice",
        ),
    ],
    ids=range(14),
)
def test_what_is_no_snapshot_of_ours_is_refused_in_consuls_words(archive, words):
    """The text says what is wrong with the file, as Consul does, and what can be done."""
    with pytest.raises(BadInput) as caught:
        decode_archive(archive, bytes_max=LARGE)
    assert words in str(caught.value)


def test_a_small_file_that_unpacks_to_a_large_one_is_refused():
    """The limit holds for what is unpacked, too."""
    with pytest.raises(TooLarge):
        decode_archive(gzip.compress(bytes(LARGE + 1)), bytes_max=LARGE)
