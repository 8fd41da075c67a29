"""What is told of the machine."""

from regista.agent.host import describe_host


def test_what_can_be_read_is_told(tmp_path):
    """Memory, processors, system and disk of this machine, without errors."""
    found = describe_host(tmp_path, now_s=1000.0)
    assert found["Errors"] is None
    assert found["Memory"]["total"] > found["Memory"]["free"] > 0
    assert found["CPU"]
    assert found["Host"]["os"] == "linux"
    assert found["Disk"]["total"] > 0
    assert found["CollectionTime"] == 1_000_000_000_000


def test_what_cannot_be_read_is_named(tmp_path):
    """A kernel that says less leaves its part empty, with the reason under Errors."""
    found = describe_host(tmp_path, now_s=1000.0, proc=tmp_path / "no such folder")
    assert [error.partition(":")[0] for error in found["Errors"]] == ["Memory", "CPU", "Host"]
    assert found["Memory"] == {}
    assert found["Disk"]["total"] > 0
