"""Who evaluates the automation conditions of the location."""

from terrane.policies import automation_sensor

spatial_automation = automation_sensor("spatial")
