"""A loaded base made into one subject and back, bit for bit. Must not know what it is measured with."""
