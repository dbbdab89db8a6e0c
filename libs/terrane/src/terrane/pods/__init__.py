"""Programs that run in pods beside the platform's own: the probes of code servers, and what clears up after runs."""
