"""`regista kv`."""

import base64
import json

import pytest


def entry(key, value, **fields):
    """A key as the agent tells it; None for no value."""
    encoded = None if value is None else base64.b64encode(value).decode()
    plain = {"LockIndex": 0, "Key": key, "Flags": 0, "Value": encoded, "CreateIndex": 5, "ModifyIndex": 7}
    return {**plain, **fields}


def test_a_value_is_printed_as_it_is(regista, agent):
    """Bytes are printed as they are with a line's end behind; a slash before the key is dropped, inside it stays."""
    agent.say("/v1/kv/a/b%20c", [entry("a/b c", b"\xff\n")])
    assert regista("kv", "get", "/a/b c").stdout_bytes == b"\xff\n\n"
    assert regista("kv", "get", "--base64", "a/b c").stdout == "/wo=\n"
    assert agent.asked[0].target == "/v1/kv/a/b%20c"


def test_a_key_that_is_not_there(regista, agent):
    """One key that is not there is an error; none with a prefix is an empty result."""
    result = regista("kv", "get", "a")
    assert (result.exit_code, result.stderr) == (1, "Error! No key exists at: a\n")
    for flag in ("--recurse", "--keys"):
        result = regista("kv", "get", flag, "a")
        assert (result.exit_code, result.output) == (0, "")
    result = regista("kv", "get")
    assert (result.exit_code, result.stderr) == (1, "Error! Missing KEY argument\n")


def test_other_errors_keep_the_servers_words(regista, agent):
    """A refusal is told as by every command."""
    agent.say("/v1/kv/a", b"Permission denied", status=403)
    result = regista("kv", "get", "a")
    assert (result.exit_code, result.stderr) == (1, "Error: Permission denied (403 from GET /v1/kv/a)\n")


def test_details_stand_in_two_columns(regista, agent):
    """--detailed shows the indexes, flags and session of each key."""
    agent.say("/v1/kv/a", [entry("a", b"1", Flags=3), entry("ab", None, Session="s1")])
    result = regista("kv", "get", "--detailed", "--recurse", "a")
    assert result.stdout == (
        "CreateIndex      5\nFlags            3\nKey              a\nLockIndex        0\n"
        "ModifyIndex      7\nSession          -\nValue            1\n\n"
        "CreateIndex      5\nFlags            0\nKey              ab\nLockIndex        0\n"
        "ModifyIndex      7\nSession          s1\nValue            \n"
    )


def test_many_keys(regista, agent):
    """--recurse prints key:value lines, --keys names up to the separator."""
    agent.say("/v1/kv/a/", [entry("a/b", b"1"), entry("a/c", None)])
    assert regista("kv", "get", "--recurse", "a/").stdout == "a/b:1\na/c:\n"
    agent.answers.clear()
    agent.say("/v1/kv/", ["a/", "b"])
    assert regista("kv", "get", "--keys", "--separator", "!").stdout == "a/\nb\n"
    assert [asked.target for asked in agent.asked] == ["/v1/kv/a/?recurse=", "/v1/kv/?keys=&separator=%21"]


def test_values_come_from_arguments_files_and_standard_input(regista, agent, tmp_path):
    """A value is the argument, the content of @file, standard input for -, or empty; bytes stay bytes."""
    agent.say("/v1/kv/a", True, method="PUT")
    (tmp_path / "file").write_bytes(b"\x00\xff")
    for value in (["x=é"], [f"@{tmp_path / 'file'}"], ["-"], [], ["--base64", "AQI="]):
        result = regista("kv", "put", "a", *value, stdin=b"from\nstdin")
        assert (result.exit_code, result.stdout) == (0, "Success! Data written to: a\n")
    assert [asked.data for asked in agent.asked] == ["x=é".encode(), b"\x00\xff", b"from\nstdin", b"", b"\x01\x02"]
    missing = regista("kv", "put", "a", "@/no/such")
    assert (missing.exit_code, missing.stderr) == (
        1,
        "Error: /no/such can't be read: No such file or directory.\n",
    )
    assert regista("kv", "put", "--base64", "a", "!").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "query", "success", "failure"),
    [
        (
            ["--cas"],
            "cas=0",
            "Data written to: a",
            "write to a: CAS performed with index=0 and key already exists.",
        ),
        (["--cas", "--modify-index", "7"], "cas=7", "Data written to: a", "write to a: CAS failed"),
        (["--acquire", "--session", "s"], "acquire=s", "Lock acquired on: a", "acquire lock"),
        (["--release", "--session", "s"], "release=s", "Lock released on: a", "release lock"),
        (
            ["--flags", "9"],
            "flags=9",
            "Data written to: a",
            "write to a: CAS performed with index=0 and key already exists.",
        ),
    ],
)
def test_conditions_of_a_write(regista, agent, *, arguments, query, success, failure):
    """What a write depends on is asked for, and told when it is not so."""
    agent.say("/v1/kv/a", True, False, method="PUT")
    result = regista("kv", "put", *arguments, "a", "1")
    assert (result.exit_code, result.stdout) == (0, f"Success! {success}\n")
    assert agent.asked[0].target == f"/v1/kv/a?{query}"
    result = regista("kv", "put", *arguments, "a", "1")
    assert (result.exit_code, result.stderr) == (1, f"Error! Did not {failure}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["put", "--acquire", "a", "1"],
        ["put", "--modify-index", "3", "a", "1"],
        ["delete"],
        ["delete", "--cas", "a"],
        ["delete", "--modify-index", "3", "a"],
        ["delete", "--cas", "--recurse", "a"],
    ],
)
def test_flags_that_do_not_fit_are_refused(regista, agent, arguments):
    """What makes no sense is refused before anything is sent."""
    assert regista("kv", *arguments).exit_code == 1
    assert agent.asked == []


def test_deleting(regista, agent):
    """A key, all with a prefix, or a key at an index are deleted; one that changed since is not."""
    agent.say("/v1/kv/a", True, True, True, False, method="DELETE")
    assert regista("kv", "delete", "a").stdout == "Success! Deleted key: a\n"
    assert regista("kv", "delete", "--recurse", "a").stdout == "Success! Deleted keys with prefix: a\n"
    assert regista("kv", "delete", "--cas", "--modify-index", "7", "a").exit_code == 0
    result = regista("kv", "delete", "--cas", "--modify-index", "7", "a")
    assert (result.exit_code, result.stderr) == (1, "Error! Did not delete key a: CAS failed\n")
    assert [asked.target for asked in agent.asked] == [
        "/v1/kv/a", "/v1/kv/a?recurse=", "/v1/kv/a?cas=7", "/v1/kv/a?cas=7"
    ]  # fmt: skip


def test_an_export_can_be_imported(regista, agent):
    """What export prints is what import takes, flags and bytes included; --prefix moves it."""
    agent.say("/v1/kv/a/", [entry("a/b", b"\xff", Flags=3), entry("a/c", None)])
    exported = regista("kv", "export", "a/").stdout
    assert exported.startswith('[\n\t{\n\t\t"key": "a/b",\n\t\t"flags": 3,\n\t\t"value": "/w=="\n\t},')
    for name in ("b", "c"):
        agent.say(f"/v1/kv/x/a/{name}", True, method="PUT")
    result = regista("kv", "import", "--prefix", "x/", "-", stdin=exported)
    assert result.stdout == "Imported: x/a/b\nImported: x/a/c\n"
    assert [(asked.target, asked.data) for asked in agent.asked[1:]] == [
        ("/v1/kv/x/a/b?flags=3", b"\xff"), ("/v1/kv/x/a/c?flags=0", b"")
    ]  # fmt: skip
    assert json.loads(regista("kv", "export", "none").stdout) == []


@pytest.mark.parametrize("data", ["{", "{}", '[{"key": 1}]', '[{"key": "a", "value": "!"}]', '[{"value": ""}]'])
def test_a_damaged_import_writes_nothing(regista, agent, data):
    """All of it is checked before the first key is written."""
    result = regista("kv", "import", data)
    assert result.exit_code == 1
    assert "Cannot" in result.stderr
    assert agent.asked == []


def test_common_options_reach_the_request(regista, agent, tmp_path):
    """--stale, --datacenter and --token-file are sent along."""
    agent.say("/v1/kv/a", [entry("a", b"1")])
    (tmp_path / "token").write_text("secret\n")
    regista("kv", "get", "--stale", "--datacenter", "dc2", "--token-file", str(tmp_path / "token"), "a")
    assert agent.asked[0].target == "/v1/kv/a?dc=dc2&stale="
    assert agent.asked[0].headers["X-Consul-Token"] == "secret"
    result = regista("kv", "get", "a", CONSUL_HTTP_TOKEN_FILE="/no/such")
    assert "Error loading token file: open /no/such: no such file or directory" in result.stderr
    regista("kv", "get", "a", CONSUL_HTTP_AUTH="ann:pw")
    assert agent.asked[1].headers["Authorization"] == "Basic YW5uOnB3"
