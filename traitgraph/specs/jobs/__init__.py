"""What compiler and runtime share: the job row, results, and the file of a single merge. Must not know an arm."""
