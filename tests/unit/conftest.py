"""What holds for all unit tests."""

from hypothesis import HealthCheck, settings

# A busy machine is not a fault of what is tested.
settings.register_profile("berth", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("berth")
