"""`regista snapshot`."""

import gzip
import hashlib
import io
import json
import stat
import tarfile

import pytest

META = {"Version": 1, "ID": "2-14-1", "Index": 14, "Term": 2, "Size": 5, "Configuration": {}}


def archive(state=b"state", *, told=b"state", left_out=()):
    """A snapshot whose hash of the state is that of `told`."""
    meta = json.dumps(META).encode()
    sums = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in (("meta.json", meta), ("state.bin", told))
    )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in (("meta.json", meta), ("state.bin", state), ("SHA256SUMS", sums.encode())):
            if name not in left_out:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


def test_saving_and_inspecting(regista, agent, tmp_path):
    """What the agent gives is verified and kept, readable by its owner alone; inspect shows it without an agent."""
    agent.say("/v1/snapshot", archive())
    file = tmp_path / "a.snap"
    result = regista("snapshot", "save", "--stale", str(file))
    assert (result.exit_code, result.stdout) == (0, "Saved and verified snapshot to index 14\n")
    assert agent.asked[0].target == "/v1/snapshot?stale="
    assert file.read_bytes() == archive()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert regista("snapshot", "inspect", str(file)).stdout == (
        "ID           2-14-1\nSize         5\nIndex        14\nTerm         2\nVersion      1\n"
    )
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no snapshot",
        archive()[:-30],
        gzip.compress(b"x" * 100, mtime=0),
        archive(told=b"other"),
        archive(left_out=["meta.json"]),
    ],
    ids=["empty", "text", "cut", "no archive", "changed", "part missing"],
)
def test_damage_is_noticed(regista, agent, tmp_path, data):
    """What is no whole snapshot is neither kept nor shown, and what was there before stays."""
    file = tmp_path / "a.snap"
    file.write_bytes(b"before")
    agent.say("/v1/snapshot", data)
    result = regista("snapshot", "save", str(file))
    assert (result.exit_code, file.read_bytes()) == (1, b"before")
    file.write_bytes(data)
    result = regista("snapshot", "inspect", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error verifying snapshot {file}: ")


def test_restoring(regista, agent, tmp_path):
    """The file is sent as it is; what the agent says against it is told."""
    (tmp_path / "a.snap").write_bytes(b"\x1f\x8b")
    agent.say("/v1/snapshot", b"", method="PUT")
    agent.say("/v1/snapshot", b"failed to decompress snapshot", method="PUT", status=400)
    assert regista("snapshot", "restore", str(tmp_path / "a.snap")).stdout == "Restored snapshot\n"
    assert agent.asked[0].data == b"\x1f\x8b"
    assert "failed to decompress" in regista("snapshot", "restore", str(tmp_path / "a.snap")).stderr
    assert regista("snapshot", "restore", "/no/such").exit_code == 1


def test_a_file_that_is_something_else(regista, tmp_path):
    """What does not begin as a snapshot does is told in words, not in Python's spelling of its bytes."""
    file = tmp_path / "passwd"
    file.write_text("root:x:0:0", encoding="utf-8")
    result = regista("snapshot", "inspect", str(file))
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error verifying snapshot {file}: it is no snapshot: it does not begin as gzip does.\n",
    )
