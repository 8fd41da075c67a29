"""The configuration's reference page is what the tables say."""

from pathlib import Path

from regista.agent.keys import FLAGS, KEYS
from regista.agent.reference import FILE, render

ROOT = Path(__file__).parents[3]


def test_the_page_is_current():
    """docs/reference/configuration.md is what the tables make."""
    on_disk = (ROOT / FILE).read_text(encoding="utf-8")
    assert on_disk == render(), f"{FILE} is not current; run: python -m regista.agent.reference"


def test_every_key_and_flag_is_in_it():
    """Each key, flag and variable is named on the page."""
    page = render()
    for path in KEYS:
        assert f"`{path}`" in page
    for flag in FLAGS:
        assert f"`--{flag.name}`" in page
        assert f"`{flag.variable}`" in page
