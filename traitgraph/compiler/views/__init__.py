"""A plan shown, compared, locked and saved. Must not change it."""
