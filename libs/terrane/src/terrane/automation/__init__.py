"""What of automation is decided outside of its conditions: where it runs, what was in vain, what is unproved."""
