"""Who starts this location's assets when something upstream changes."""

from terrane.policies import automation_sensor

features_automation = automation_sensor("features")
