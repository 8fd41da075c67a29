"""What holds for all tests: how hypothesis judges them."""

from hypothesis import HealthCheck, settings

# On a clean checkout the first text that hypothesis draws builds its table of characters, which takes seconds.
settings.register_profile("regista", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("regista")
