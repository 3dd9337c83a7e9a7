"""Profiles of the property tests: `pytest --hypothesis-profile=soak tests/properties` runs them for long."""

from hypothesis import settings

settings.register_profile("soak", max_examples=2_000)
