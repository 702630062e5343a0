"""What runs inside an allocation. Must not submit."""
