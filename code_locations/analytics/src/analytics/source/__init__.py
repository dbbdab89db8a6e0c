"""Reading the product's API."""
