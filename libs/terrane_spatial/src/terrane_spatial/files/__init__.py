"""From an object of the landing zone to a file on disk whose format is known: fetched, checked, unpacked."""
