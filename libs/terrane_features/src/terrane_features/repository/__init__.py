"""What a Feast repository declares, and whether the tables of the warehouse fit."""
