"""What holds for all tests: how hypothesis judges them, and which signals the programs hear that they start."""

import signal

from hypothesis import HealthCheck, settings

# On a clean checkout the first text that hypothesis draws builds its table of characters, which takes seconds. And no
# test is to fail because the machine did something else for a fifth of a second.
settings.register_profile("regista", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("regista")

# A shell has what it starts in the background ignore Ctrl-C, and so would whatever we start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
