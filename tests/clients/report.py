"""How a client's program in Python reports: one line per feature, `ok NAME` or `FAIL NAME: why`."""

import sys
import time
import traceback


def run_features(features):
    """Runs each feature, a name and a function without arguments, in its order."""
    for name, run in features.items():
        try:
            run()
        except Exception as fault:  # noqa: BLE001 - whatever a client raises is the feature's failure
            where = traceback.extract_tb(fault.__traceback__)[1]
            why = " ".join(f"{type(fault).__name__} {fault} at `{where.line}`".split())
            sys.stdout.write(f"FAIL {name}: {why}\n")
        else:
            sys.stdout.write(f"ok {name}\n")


def eventually(condition, *, within_s=15.0):
    """Asks until `condition()` gives something true, and gives that."""
    end_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end_s, f"not so within {within_s} s"
        time.sleep(0.02)
    return found
