"""The analytics location: users, journal entries and places, modelled with dbt up to gold."""
