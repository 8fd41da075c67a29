"""Which seeds are run: `SEED=123` only that one, `SEEDS=5000` so many, else as many as the test says."""

from __future__ import annotations

import os


def seeds(count: int) -> list[int]:
    if "SEED" in os.environ:
        return [int(os.environ["SEED"])]
    return list(range(int(os.environ.get("SEEDS", count))))
