"""What starts real servers for tests and for the laptop; in no image."""
