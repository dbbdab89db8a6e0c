"""What Terrane's code locations share, and nothing that only one of them needs."""
