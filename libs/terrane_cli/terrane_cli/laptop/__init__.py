"""The platform on one machine: its processes, their settings, and looking at them."""
