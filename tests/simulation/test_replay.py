"""That a seed is a whole world: the same for the same seed, wherever it runs."""

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.scenarios import run_dense

_ROOT = Path(__file__).parents[2]
_PROGRAM = "from tests.simulation.scenarios import run_dense; print(run_dense(11).world.history.digest())"


def test_one_seed_is_one_history():
    """Two runs of a seed are the same to the last byte; another seed is another history."""
    one, again, other = run_dense(11), run_dense(11), run_dense(23)
    assert one.world.history.lines > 1000
    assert one.world.history.digest() == again.world.history.digest()
    assert one.world.history.digest() != other.world.history.digest()


def test_one_seed_is_one_history_in_every_process():
    """Nothing depends on the order of sets, which differs from process to process."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            cwd=_ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(_ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1
