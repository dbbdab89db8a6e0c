"""Reading from the lake and writing to it."""
