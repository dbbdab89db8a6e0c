"""From a manifest in the landing zone to a batch in the ledger, accepted, or rejected before any run."""
