"""Go's command lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.cli.consul_flags import FlagError, HelpWanted, parse_flags

FLAGS = {"dev": True, "node": False, "tag": False}


@pytest.mark.parametrize(
    ("words", "found", "rest"),
    [
        ([], [], []),
        (["-dev"], [("dev", True)], []),
        (["--dev", "-node", "n1"], [("dev", True), ("node", "n1")], []),
        (["-dev=false", "--node=n=1"], [("dev", False), ("node", "n=1")], []),
        (["-dev=T", "-dev=0"], [("dev", True), ("dev", False)], []),
        (["-tag", "a", "-tag", "-b"], [("tag", "a"), ("tag", "-b")], []),
        (["-node=", "x", "-dev"], [("node", "")], ["x", "-dev"]),
        (["-dev", "false"], [("dev", True)], ["false"]),
        (["-dev", "--", "-node"], [("dev", True)], ["-node"]),
        (["-", "-dev"], [], ["-", "-dev"]),
        (["", "-dev"], [], ["", "-dev"]),
    ],
)
def test_reading(words, found, rest):
    """One dash is two, a value stands behind = or in the next word, and the first argument ends the flags."""
    assert parse_flags(words, FLAGS) == (found, rest)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-bogus"], "flag provided but not defined: -bogus"),
        (["--bogus=1"], "flag provided but not defined: -bogus"),
        (["-node"], "flag needs an argument: -node"),
        (["-dev=maybe"], 'invalid boolean value "maybe" for -dev: parse error'),
        (["---dev"], "bad flag syntax: ---dev"),
        (["-=x"], "bad flag syntax: -=x"),
    ],
)
def test_faults_have_gos_words(words, text):
    """What can't be read is told in Go's words."""
    with pytest.raises(FlagError) as caught:
        parse_flags(words, FLAGS)
    assert str(caught.value) == text


@pytest.mark.parametrize("word", ["-h", "--help", "-help"])
def test_help(word):
    """Help is a flag everywhere."""
    with pytest.raises(HelpWanted):
        parse_flags(["-dev", word], FLAGS)


@given(
    st.lists(st.tuples(st.sampled_from(["node", "tag"]), st.text()), max_size=5), st.lists(st.text(), max_size=3)
)
def test_both_forms_of_a_value_mean_the_same(pairs, rest):
    """`-x v` and `-x=v` give the same values, whatever those are."""
    apart = [word for name, value in pairs for word in (f"-{name}", value)]
    joined = [f"--{name}={value}" for name, value in pairs]
    assert parse_flags([*apart, "--", *rest], FLAGS) == (pairs, rest)
    assert parse_flags([*joined, "--", *rest], FLAGS) == (pairs, rest)
