"""Results: the table of all that was measured, scores with their errors, how they were made. Must not know the page."""
