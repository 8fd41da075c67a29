"""The id of an agent's node over its lives."""

import uuid

import pytest

from regista.agent.identity import NODE_ID_FILE, load_node_id
from regista.model import StoreDamaged

ID = str(uuid.UUID(int=7))
OTHER = str(uuid.UUID(int=8))


def test_an_id_is_made_once(tmp_path):
    """The first start makes an id, and the next ones find it."""
    assert load_node_id(tmp_path, "", lambda: ID) == ID
    assert load_node_id(tmp_path, "", lambda: OTHER) == ID


def test_an_empty_file_is_no_id_yet(tmp_path):
    """A file that a crash left empty at the first start is filled."""
    (tmp_path / NODE_ID_FILE).touch()
    assert load_node_id(tmp_path, "", lambda: ID) == ID


@pytest.mark.parametrize("content", [b"hallo\n", b"\xff\xfe\x00", ID.encode()[:-1]])
def test_a_file_without_an_id_is_told_and_left_alone(tmp_path, content):
    """What is no UUID stops the start with the file's name, and stays as it is."""
    file = tmp_path / NODE_ID_FILE
    file.write_bytes(content)
    with pytest.raises(StoreDamaged, match=f"{file} is damaged"):
        load_node_id(tmp_path, "", lambda: OTHER)
    assert file.read_bytes() == content


def test_an_id_that_is_given_replaces_what_was_kept(tmp_path):
    """With `node_id` in the configuration, what is in the file does not matter."""
    (tmp_path / NODE_ID_FILE).write_bytes(b"\xff")
    assert load_node_id(tmp_path, ID, lambda: OTHER) == ID
    assert load_node_id(tmp_path, "", lambda: OTHER) == ID
