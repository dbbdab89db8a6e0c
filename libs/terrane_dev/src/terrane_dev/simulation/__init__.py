"""Random histories of sources, failures and restarts, played through the automation conditions, and who judges them."""
