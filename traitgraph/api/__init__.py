"""What a library user and the command line both call. Must not know an option of the command line."""
