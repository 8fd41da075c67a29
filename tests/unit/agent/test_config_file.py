"""Files: what a path stands for, JSON, and HCL as the JSON that it means."""

import json

import pytest

from regista.agent.config_file import find_definitions, find_files, read_file
from regista.agent.hcl import decode_hcl
from regista.model import ConfigError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a = "b"', {"a": "b"}),
        ('a = ""', {"a": ""}),
        ("a = 8500", {"a": 8500}),
        ("a = -1", {"a": -1}),
        ("a = 1.5", {"a": 1.5}),
        ("a = 1e3", {"a": 1000.0}),
        ("a = true\nb = false\nc = null", {"a": True, "b": False, "c": None}),
        (r'a = "say \"hi\" \\ \n\t é é"', {"a": 'say "hi" \\ \n\t é é'}),
        ('a = "${not} an $${expression} %{here"', None),
        ('a = "${kept} as text"', {"a": "${kept} as text"}),
        ('a = "${1 + 2}"', {"a": "${1 + 2}"}),
        ('a = ["x", 2, true,]', {"a": ["x", 2, True]}),
        ("a = [{ x = 1 }, { x = 2 }]", {"a": [{"x": 1}, {"x": 2}]}),
        ('a = { b = "c", "d e" = "f" }', {"a": {"b": "c", "d e": "f"}}),
        ('a {\n  b = 1\n  c {\n    d = "e"\n  }\n}', {"a": {"b": 1, "c": {"d": "e"}}}),
        ("a {}", {"a": {}}),
        ('services { name = "x" }', {"services": [{"name": "x"}]}),
        ('services { name = "x" }\nservices { name = "y" }', {"services": [{"name": "x"}, {"name": "y"}]}),
        ('service {\n name = "x"\n check { ttl = "1s" }\n}', {"service": {"name": "x", "check": {"ttl": "1s"}}}),
        ('service { checks { ttl = "1s" } }', {"service": {"checks": [{"ttl": "1s"}]}}),
        ("service { proxy { upstreams { p = 1 } } }", {"service": {"proxy": {"upstreams": [{"p": 1}]}}}),
        ('a = <<E\nx "y"\n z\nE\n', {"a": 'x "y"\n z'}),
        ("# one\n// two\n/* three */\na = 1 # four", {"a": 1}),
        ("a = 1\r\nb = 2\r\n", {"a": 1, "b": 2}),
        ("", {}),
    ],
)
def test_hcl_means_what_the_same_json_means(text, expected):
    """HCL gives the values that the same configuration has in JSON, strings without quotes and escapes."""
    if expected is None:
        with pytest.raises(ConfigError, match="not valid HCL"):
            decode_hcl(text)
    else:
        assert decode_hcl(text) == expected


@pytest.mark.parametrize("text", ["a = 1 + 2", "a = b.c", 'a = upper("x")', "a { b = [c] }"])
def test_expressions_in_hcl_are_refused(text):
    """An expression is an error that names the key, not a value that looks like one."""
    with pytest.raises(ConfigError, match=r"a(\.b)?: expressions such as .* are not understood"):
        decode_hcl(text)


def test_a_quoted_name_in_an_hcl_block_is_explained():
    """HCL 1's quoted names in blocks are refused with the spelling that works."""
    with pytest.raises(ConfigError, match=r'line 2, column 3: .*Write name = \{ "x-y" = "1" \} instead'):
        decode_hcl('node_meta {\n  "x-y" = "1"\n}')


def test_a_comma_in_an_hcl_block_is_explained():
    """A comma between a block's values is refused with the advice to leave it out."""
    with pytest.raises(ConfigError, match="without a comma"):
        decode_hcl("ports { http = 1, dns = 2 }")


def test_other_faults_in_hcl_name_their_place():
    """A syntax error names line, column and the text that stands there."""
    with pytest.raises(ConfigError, match='line 2, column 5: this is not valid HCL, at "]"'):
        decode_hcl("a = 1\nb = ]")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1 "b": 2}', "line 1, column 9: this is not valid JSON"),
        # Python 3.13 points at the comma, earlier ones behind it.
        ('{"a": 1,}', "this is not valid JSON"),
        ('{"a": 1} x', "this is not valid JSON: Extra data"),
        ('{"a', "line 1, column 2: this is not valid JSON: Unterminated string."),
        ('{"a\n', "line 1, column 4: this is not valid JSON: Invalid control character."),
        ('{"a": NaN}', "NaN is not a JSON value"),
        ("// no\n{}", "line 1, column 1"),
        ("[1]", "expected an object, got a list"),
        ("", "line 1, column 1"),
    ],
)
def test_json_is_strict(tmp_path, text, problem):
    """Comments, trailing commas, trailing text and what is no object are refused, with file and place."""
    with pytest.raises(ConfigError) as caught:
        read_file(write(tmp_path / "a.json", text))
    assert problem in str(caught.value)
    assert str(tmp_path / "a.json") in str(caught.value)


def test_another_suffix_is_refused(tmp_path):
    """A file that is neither .json nor .hcl by its name is an error that names both."""
    with pytest.raises(ConfigError, match=r"a\.yaml: the suffix must be \.json or \.hcl"):
        read_file(write(tmp_path / "a.yaml", "a: 1"))


def test_a_missing_file_is_named(tmp_path):
    """A file that is not there is an error with its path and the system's reason."""
    with pytest.raises(ConfigError, match=r"nope\.json can't be read: No such file or directory"):
        read_file(tmp_path / "nope.json")


@pytest.mark.parametrize(("name", "text"), [("a.json", '{"node_name": "n1"}'), ("a.hcl", 'node_name = "n1"')])
def test_a_byte_order_mark_is_passed_over(tmp_path, name, text):
    """Editors that put it there show nobody that they did."""
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_file(path).content == {"node_name": "n1"}


def test_text_that_is_not_utf8_is_refused(tmp_path):
    """A file in another encoding is an error, not a guess."""
    (tmp_path / "a.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(ConfigError, match="is not UTF-8 text: byte 7"):
        read_file(tmp_path / "a.json")


def test_a_directory_stands_for_its_files_by_name(tmp_path):
    """Of a directory the .json and .hcl files are read in name order; others and sub-directories are not."""
    for name in ("b.hcl", "a.json", "c.txt", "a.hcl"):
        write(tmp_path / name, "")
    (tmp_path / "d.json").mkdir()
    assert [path.name for path in find_files(tmp_path)] == ["a.hcl", "a.json", "b.hcl"]


def test_definitions_are_joined_in_the_order_of_the_file():
    """One definition may be an object or a list of one; several are a list; null is none."""
    content = json.loads(
        '{"service": [{"name": "a"}], "Services": [{"name": "b"}, {"name": "c"}], "checks": null}'
    )
    assert [item["name"] for item in find_definitions(content, "service", "services")] == ["a", "b", "c"]
    assert find_definitions(content, "check", "checks") == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"service": [{}, {}]}, 'service: expected an object, got a list of 2; use "services"'),
        ({"service": "web"}, 'service: expected an object, got the string "web"'),
        ({"services": {"name": "a"}}, "services: expected a list of objects, got an object"),
        ({"services": [8]}, "services: expected an object, got the integer 8"),
    ],
)
def test_definitions_must_be_objects(content, problem):
    """What is no object, or several where one is meant, is refused with both named."""
    with pytest.raises(ConfigError) as caught:
        find_definitions(content, "service", "services")
    assert problem in str(caught.value)
