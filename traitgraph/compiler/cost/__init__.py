"""What a job takes: work, time, money, as ranges. Must not change a plan."""
