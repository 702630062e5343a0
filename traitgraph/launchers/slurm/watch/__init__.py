"""How far a run is, and what a person does with it."""
