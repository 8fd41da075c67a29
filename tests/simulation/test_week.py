"""A week of a thousand instances, in seconds."""

import pytest
from tests.simulation.scenarios import DAY_S, run_week
from tests.simulation.seeds import seeds


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds(1))
def test_a_week_goes_well(seed):
    """1,000 instances through a week of crashes, partitions, slow answers and flapping: every promise is kept."""
    run = run_week(seed)
    assert run.world.now_s == pytest.approx(7 * DAY_S)
    assert len(run.removed()) > 500, "a week in which so little happens proves little"
