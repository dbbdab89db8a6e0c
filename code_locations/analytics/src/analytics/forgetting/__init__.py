"""Forgetting a person: their rows in the warehouse and in the lake's files, and that they do not come back."""
