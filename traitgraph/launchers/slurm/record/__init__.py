"""What is written beside a run's job table. Must not ask the scheduler."""
