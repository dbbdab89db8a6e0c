"""Reading a spatial file: the run's side of it; `child` is the other side, in a process of its own."""
