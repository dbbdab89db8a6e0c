"""What the location has: each folder or file here is found by itself."""
