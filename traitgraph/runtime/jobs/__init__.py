"""What every job function is given, and the process that it runs in. Must not know a kind of job."""
