"""Hypothesis without a stopwatch: how long an example takes says something of the machine the tests run on."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("no-stopwatch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-stopwatch")
