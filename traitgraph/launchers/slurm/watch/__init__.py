"""What a person asks of a run or a site, and does with a run. Must not know what a job computes."""
