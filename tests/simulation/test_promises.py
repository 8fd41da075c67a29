"""The promises of the health room, in worlds in which everything goes wrong.

A failing seed says its number and is run again, alone, by

    SEED=123 .venv/bin/pytest tests/simulation -k promises
"""

import collections

import pytest
from tests.simulation.scenarios import run_dense
from tests.simulation.seeds import seeds


@pytest.mark.parametrize("seed", seeds(240))
def test_promises_are_kept(seed):
    """The dead are out in time, the living are never removed, each life ends once, and nothing is left behind."""
    run_dense(seed)


def test_promises_are_put_to_the_test():
    """Within six seeds there is everything that a promise could be broken by."""
    seen = collections.Counter()
    for seed in (9, 11, 21, 23, 35, 47):
        run = run_dense(seed)
        counters = run.world.scheduler.counters
        seen["protections"] += run.checkers.protections.count
        seen.update({f"ended by {cause.kind}": 1 for cause in run.checkers.log.ended.values()})
        seen["flaps"] += counters.flaps_started
        seen["abstentions"] += counters.abstentions
        seen["stalls"] += run.world.scheduler.listening.stalls
        seen["outages"] += run.world.scheduler.hearing.outages
        seen["held"] += counters.endings_held
        seen["closed"] += counters.verifications["closed"]
        seen["open"] += counters.verifications["answers"]
    missing = [what for what, count in seen.items() if not count]
    assert not missing, f"nothing of these happened: {missing}"
    assert {"ended by expiry", "ended by reaper", "ended by request"} <= seen.keys()
