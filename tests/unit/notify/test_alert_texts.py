"""Texts of alerts: what may stand in them, what is struck out; and what is wrong with a rule."""

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.catalog import (
    DEFAULT_RULES,
    RULE_KINDS,
    check_rule,
    check_silence,
    fill_template,
    parse_matcher,
    silenced_by,
)
from regista.catalog.alert_templates import TEXT_CHARACTERS_MAX, check_template
from regista.model import AlertChannel, AlertRule, AlertSilence, BadInput, shown_channel
from regista.notify.alert_certificates import Unreadable, not_after_s, read_end_s
from regista.notify.alert_decide import Finding, rule_annotations
from regista.notify.redaction import redact

WEB = {"rule_kind": "service_healthy_below", "service": "web", "healthy_min": 1}
CERTIFICATE = Path(__file__).parents[2] / "data" / "loopback.cert.pem"


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{service} has {healthy}", "web has 1"),
        ("{{service}}", "{service}"),
        ("{{{service}}}", "{web}"),
        ("no words", "no words"),
        ("", ""),
    ],
)
def test_words_are_filled_in(text, filled):
    """Words in braces are replaced; a doubled brace is one."""
    words = {"service": "web", "healthy": "1"}
    check_template(text, words, field="x")
    assert fill_template(text, words) == filled


@pytest.mark.parametrize(
    "text", ["{servic}", "{", "a } b", "{service.name}", "{service!r}", "{service:>9}", "{0}", "{}", "{service"]
)
def test_what_is_no_template_is_refused(text):
    """Neither unknown words, nor attributes, formats, or braces without a partner."""
    with pytest.raises(BadInput) as caught:
        check_template(text, ("service",), field="annotations.summary")
    assert caught.value.field == "annotations.summary"


@pytest.mark.parametrize("text", ["{0}", "{service.name}", "{service!r} {", "{" + "x" * 500 + "}"])
def test_a_word_that_can_not_be_one_is_named(text):
    """What stands in braces is said to be unknown, in not too many characters; no brace is said to lack a partner."""
    with pytest.raises(BadInput, match=r"nothing is known as \{") as caught:
        check_template(text, ("service",), field="x")
    assert len(str(caught.value)) < 200


@given(st.text(alphabet="{}ab ", max_size=20), st.text(alphabet="{}ab", max_size=10))
def test_a_template_that_was_checked_can_be_filled_in(text, value):
    """Whatever passes the check is filled in, and what is filled in is not read as a template again."""
    try:
        check_template(text, ("a",), field="x")
    except BadInput:
        return
    filled = fill_template(text, {"a": "\0"})
    assert fill_template(text, {"a": value}) == filled.replace("\0", value)


def test_a_long_text_is_cut():
    """What is filled in may be long; what is sent is not."""
    assert len(fill_template("{a}", {"a": "x" * 10_000})) == TEXT_CHARACTERS_MAX


def test_a_text_that_fails_is_the_plain_sentence():
    """A rule of another version may use a word that is not there: the alert says what it found all the same."""
    rule = AlertRule(name="r", **WEB, annotations={"summary": "{unheard_of}", "other": "{service}"})
    finding = Finding({}, 0.0, {"service": "web"}, "web is down")
    assert rule_annotations(rule, finding, since_at_s=0.0) == {"summary": "web is down", "other": "web"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rule_kind": "weather"}, "kind"),
        ({**WEB, "name": "a b"}, "name"),
        ({**WEB, "name": "x" * 200}, "name"),
        ({**WEB, "severity": "loud"}, "severity"),
        ({**WEB, "service": ""}, "service"),
        ({**WEB, "healthy_min": None}, "healthy_min"),
        ({**WEB, "share_min": 0.5}, "healthy_min"),
        ({**WEB, "healthy_min": 0}, "healthy_min"),
        ({**WEB, "healthy_min": None, "share_min": 1.5}, "share_min"),
        ({**WEB, "healthy_min": None, "share_min": float("nan")}, "share_min"),
        ({**WEB, "file": "/x"}, "file"),
        ({**WEB, "node": "n1"}, "node"),
        ({"rule_kind": "check_critical_for"}, "for"),
        ({"rule_kind": "certificate_expires_within", "file": "/x"}, "within"),
        ({"rule_kind": "store_unreachable", "service": "web"}, "service"),
        ({**WEB, "labels": {"a-b": "x"}}, "labels"),
        ({**WEB, "labels": {"service": "x"}}, "labels.service"),
        ({**WEB, "labels": {"team": "x\n"}}, "labels.team"),
        ({**WEB, "labels": {f"l{number}": "" for number in range(40)}}, "labels"),
        ({**WEB, "annotations": {"summary": "{output}"}}, "annotations.summary"),
        ({**WEB, "annotations": {"a b": "x"}}, "annotations"),
        ({**WEB, "annotations": {"summary": "x" * 3000}}, "annotations.summary"),
        ({**WEB, "group_by": ("node",)}, "group_by"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_its_field(fields, field):
    """Whoever writes it is told which field is wrong."""
    with pytest.raises(BadInput) as caught:
        check_rule(AlertRule(**{"name": "r", **fields}))
    assert caught.value.field == field
    assert field.partition(".")[0] in str(caught.value)


def test_the_rules_of_the_house_and_all_kinds_make_sense():
    """So do rules that use every word of their kind."""
    for rule in DEFAULT_RULES:
        check_rule(rule)
    needed = {"healthy_min": 1, "service": "web", "for_s": 1.0, "file": "/x", "within_s": 1.0}
    for name, kind in RULE_KINDS.items():
        taken = {*kind.required, *kind.optional, "for"}
        fields = {key: value for key, value in needed.items() if key.removesuffix("_s") in taken}
        every_word = " ".join(f"{{{word}}}" for word in kind.all_words)
        check_rule(AlertRule(name="r", rule_kind=name, annotations={"summary": every_word}, **fields))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET http://user:pa%20ss@host/ failed", "GET http://***@host/ failed"),
        ("postgres://app:secret@db/x", "postgres://***@db/x"),
        ("Authorization: Bearer abcdef0123456", "Authorization: *** ***"),
        ("got bearer abcdef0123456 back", "got bearer *** back"),
        ("password=hunter2&x=1", "password=***&x=1"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("DB_PASSWORD: hunter2", "DB_PASSWORD: ***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----!", "***!"),
        ("HTTP GET http://host:80/health: 500 Output: boom", "HTTP GET http://host:80/health: 500 Output: boom"),
    ],
)
def test_what_looks_like_a_secret_is_struck_out(text, shown):
    """By its form: credentials in URLs, headers, assignments, private keys."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("kind", "url", "shown"),
    [
        ("apprise", "slack://tokenA/tokenB/tokenC/#ops", "slack://***"),
        ("apprise", "mailto://user:pw@example.com", "mailto://***"),
        ("apprise", "nothing", "***"),
        ("webhook", "https://hooks.example/T0/B0/xyz?k=v", "https://hooks.example/***"),
        ("webhook", "https://u:p@hooks.example", "https://***@hooks.example"),
        ("alertmanager", "http://u:p@am:9093/prefix?x=1", "http://***@am:9093/prefix"),
    ],
)
def test_what_shows_of_a_channel(kind, url, shown):
    """Never a password, a token, or what may be one."""
    channel = shown_channel(AlertChannel(name="c", channel_kind=kind, url=url, secret="s", token="t"))
    assert (channel.url, channel.secret, channel.token) == (shown, "set", "set")


@pytest.mark.parametrize(
    ("text", "labels", "is_silenced"),
    [
        ("service=web", {"service": "web"}, True),
        ("service=web", {"service": "web2"}, False),
        ('service="web"', {"service": "web"}, True),
        ("service!=web", {"service": "api"}, True),
        ("service!=web", {}, True),
        ("node=~db-.*", {"node": "db-1"}, True),
        ("node=~db", {"node": "db-1"}, False),
        ("node!~db-.*|n1", {"node": "n1"}, False),
        ("node=", {}, True),
    ],
)
def test_matchers(text, labels, is_silenced):
    """As an Alertmanager's: whole values, patterns of whole values, a missing label is empty."""
    matchers = (parse_matcher(text), parse_matcher("alertname=up"))
    silence = AlertSilence(id="s", matchers=matchers, starts_s=0.0, ends_s=10.0)
    check_silence(silence)
    labels = {"alertname": "up", **labels}
    assert silenced_by(labels, [silence], 5.0) == (("s",) if is_silenced else ())
    assert silenced_by(labels, [silence], 10.0) == ()


@pytest.mark.parametrize(
    ("matchers", "ends_s", "field"),
    [
        ((), 1.0, "matchers"),
        (("a=~(",), 1.0, "matchers"),
        (("a=b",), 0.0, "ends"),
        (("a=~" + "x" * 600,), 1.0, "matchers"),
        (("a!=b", "b=~.*"), 1.0, "matchers"),
    ],
)
def test_a_silence_that_makes_no_sense(matchers, ends_s, field):
    """No matcher, no pattern, no time, or one for whatever there is."""
    with pytest.raises(BadInput) as caught:
        check_silence(
            AlertSilence(
                id="s", matchers=tuple(parse_matcher(each) for each in matchers), starts_s=0.0, ends_s=ends_s
            )
        )
    assert caught.value.field == field


@pytest.mark.parametrize("text", ["", "service", "=x", "=~", "service~=web", "sérvice=web", "a b=c", "1a=b"])
def test_what_is_no_matcher(text):
    """It is refused by its field."""
    with pytest.raises(BadInput) as caught:
        parse_matcher(text)
    assert caught.value.field == "matchers"


def test_the_end_of_a_certificate_is_read():
    """It is what openssl says, and the first of several counts."""
    ends = dt.datetime.fromtimestamp(read_end_s(str(CERTIFICATE)), dt.UTC)
    assert ends.year > 2026


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "there is no certificate in it"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "a certificate in it is damaged"),
        (b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "a certificate in it is"),
    ],
)
def test_what_is_no_certificate(tmp_path, content, problem):
    """The reason is told, and nothing of what is in the file."""
    file = tmp_path / "x.pem"
    file.write_bytes(content)
    with pytest.raises(Unreadable, match=problem):
        read_end_s(str(file))


def test_a_file_that_is_none(tmp_path):
    """A directory or a device is not waited for."""
    for file in (str(tmp_path), "/dev/zero", "/none/such", "/a\0b"):
        with pytest.raises(Unreadable):
            read_end_s(file)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_certificate_or_not(data):
    """Nothing but `Unreadable` comes of reading what is none."""
    with pytest.raises(Unreadable):
        not_after_s(data)
