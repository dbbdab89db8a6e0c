"""The whole story while processes die at random, compared with one that nobody disturbed: `make story-with-faults`."""
