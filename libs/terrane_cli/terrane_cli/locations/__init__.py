"""Code locations: what each says of itself, what follows from it elsewhere, and making and removing one."""
