"""Tables for people."""

from regista.cli.tables import host_port, one_line, table, width


def test_columns_fit_their_widest_cell():
    """Columns stand two spaces apart, counted in cells of the terminal, without spaces at a line's end."""
    assert table(("A", "B"), [("é", "1"), ("日本", "22")]) == "A     B\né     1\n日本  22"
    assert width("e\u0301日") == 3


def test_one_line():
    """Line breaks and control characters become single spaces; a long text ends in an ellipsis."""
    assert one_line(" a\n\tb\x00c ") == "a b c"
    assert one_line("abcdef", width_max=4) == "abc…"
    assert one_line("abcd", width_max=4) == "abcd"


def test_host_port():
    """Only IPv6 addresses need brackets, and port 0 is none."""
    assert [host_port("a", 1), host_port("::1", 1), host_port("a", 0)] == ["a:1", "[::1]:1", "a"]
