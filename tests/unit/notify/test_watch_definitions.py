"""Watches as they stand in files."""

import pytest

from regista.model import ConfigError
from regista.notify.watch_definitions import (
    NOTHING_YET,
    WATCHES_MAX,
    HttpHandler,
    ScriptHandler,
    read_watches,
)

ARGS = {"args": ["/bin/on-change", "-v"]}


def read(**fields):
    (watch,) = read_watches([("a.hcl: watch number 1", fields)])
    return watch


@pytest.mark.parametrize(
    ("fields", "target", "title"),
    [
        ({"type": "key", "key": "a b/c"}, "/v1/kv/a%20b/c", "key a b/c"),
        ({"type": "keyprefix", "prefix": "a/"}, "/v1/kv/a/?recurse=", "keyprefix a/"),
        ({"type": "services", "stale": True}, "/v1/catalog/services?stale=", "services"),
        ({"type": "nodes", "datacenter": "dc2"}, "/v1/catalog/nodes?dc=dc2", "nodes"),
        (
            {"type": "service", "service": "web", "tag": ["a", "b&c"], "passingonly": True},
            "/v1/health/service/web?tag=a&tag=b%26c&passing=1",
            "service web",
        ),
        ({"type": "service", "service": "web", "tag": "a"}, "/v1/health/service/web?tag=a", "service web"),
        ({"type": "checks"}, "/v1/health/state/any", "checks any"),
        ({"type": "checks", "state": "critical"}, "/v1/health/state/critical", "checks critical"),
        ({"type": "checks", "service": "web"}, "/v1/health/checks/web", "checks web"),
        ({"type": "event", "name": "deploy"}, "/v1/event/list?name=deploy", "event deploy"),
        ({"type": "event"}, "/v1/event/list", "event"),
    ],
)
def test_every_type_has_its_question(fields, target, title):
    """Each type asks what Consul's does, with the parameters of reads."""
    watch = read(**fields, **ARGS)
    assert (watch.target, watch.title) == (target, title)
    assert watch.handler == ScriptHandler(("/bin/on-change", "-v"))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "type"),
        ({"type": 3}, "type"),
        ({"type": "zz"}, "type"),
        ({"type": "key"}, "key"),
        ({"type": "keyprefix"}, "prefix"),
        ({"type": "service"}, "service"),
        ({"type": "checks", "service": "a", "state": "b"}, "state"),
        ({"type": "nodes", "stale": "yes"}, "stale"),
        ({"type": "service", "service": "web", "tag": [1]}, "tag"),
        ({"type": "nodes", "key": "a"}, "key"),
        ({"type": "nodes", "args": []}, "args"),
        ({"type": "nodes", "args": "run me", "args_": 1}, "args_"),
        ({"type": "nodes", "args": ["a\0b"]}, "args"),
        ({"type": "nodes", "handler": "run me", "args": None}, "handler"),
        ({"type": "nodes", "handler_type": "mail"}, "handler_type"),
        ({"type": "nodes", "handler_type": "http", "args": None}, "http_handler_config.path"),
        ({"type": "nodes", "handler_type": "http", "http_handler_config": 1}, "http_handler_config"),
    ],
)
def test_what_is_wrong_is_named(fields, field):
    """The error names the watch and the field."""
    with pytest.raises(ConfigError, match=rf"^a.hcl: watch number 2,? .*in the configuration: {field}: ") as error:
        read_watches(
            [("a.hcl: watch number 1", {"type": "nodes", **ARGS}), ("a.hcl: watch number 2", {**ARGS, **fields})]
        )
    assert str(error.value).endswith(".")


def http(**fields):
    inner = {"path": "http://127.0.0.1:1/x", **fields}
    return read(type="nodes", handler_type="http", http_handler_config=inner).handler


def test_a_server_as_a_handler():
    """Headers may be texts or lists; what is not said is as in Consul; blocks of HCL are lists of one."""
    assert http() == HttpHandler("http://127.0.0.1:1/x", "POST", (), 10.0, is_verified=True)
    inner = {
        "path": "https://x/y",
        "method": "put",
        "header": [{"X-A": ["1", "2"], "X-B": "3"}],
        "timeout": "1m",
        "tls_skip_verify": True,
    }
    assert read(type="nodes", handler_type="http", http_handler_config=[inner]).handler == HttpHandler(
        "https://x/y", "PUT", (("X-A", "1"), ("X-A", "2"), ("X-B", "3")), 60.0, is_verified=False
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"path": "ftp://x"}, "path"),
        ({"path": "http://x:99999/"}, "path"),
        ({"path": "nowhere"}, "path"),
        ({"method": "P T"}, "method"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": "0s"}, "timeout"),
        ({"header": {"a b": "c"}}, "header"),
        ({"header": {"a": "b\nc"}}, "header"),
        ({"header": {"a": 1}}, "header"),
        ({"headers": {}}, "headers"),
        ({"tls_skip_verify": "no"}, "tls_skip_verify"),
    ],
)
def test_what_is_wrong_with_a_server_is_named(fields, field):
    """The error names the field inside `http_handler_config`."""
    with pytest.raises(ConfigError, match=rf"http_handler_config\.{field}: "):
        http(**fields)


def test_a_token_is_kept_out_of_the_question():
    """The token goes into a header, not into what is logged."""
    watch = read(type="nodes", token="secret", **ARGS)
    assert watch.token == "secret"
    assert "secret" not in watch.target + watch.title


def test_too_many_watches_are_refused():
    """The number of watches has a limit."""
    each = {"type": "nodes", **ARGS}
    assert len(read_watches([("", each)] * WATCHES_MAX)) == WATCHES_MAX
    with pytest.raises(ConfigError, match="watches"):
        read_watches([("", each)] * (WATCHES_MAX + 1))


def test_what_a_key_is_to_a_handler():
    """A key that was never there is not told of; once it is gone, null is."""
    watch = read(type="key", key="a", **ARGS)
    assert watch.pick([], None) is NOTHING_YET
    assert watch.pick([{"Key": "a"}], []) == {"Key": "a"}
    assert watch.pick([], [{"Key": "a"}]) is None
    prefix = read(type="keyprefix", prefix="a", **ARGS)
    assert prefix.pick(None, None) is NOTHING_YET
    assert prefix.pick(None, [{"Key": "a"}]) is None


def test_each_event_is_told_once():
    """Of a list of events only those behind the last known one are told."""
    watch = read(type="event", **ARGS)
    first, second = {"ID": "1"}, {"ID": "2"}
    assert watch.pick([first], None) == [first]
    assert watch.pick([first, second], [first]) == [second]
    assert watch.pick([second], [second]) is NOTHING_YET
    assert watch.pick([second], [first]) == [second]
