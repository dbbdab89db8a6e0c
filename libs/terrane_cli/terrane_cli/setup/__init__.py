"""What a checkout needs of a machine: programs, virtual environments, and the locks they are made from."""
