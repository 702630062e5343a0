"""Study -> graph -> plan, as a tuple of pure passes. No torch, no network, no store."""
