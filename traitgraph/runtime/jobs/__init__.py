"""What every job function is given. Must not know a kind of job."""
