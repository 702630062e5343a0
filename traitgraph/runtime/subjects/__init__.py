"""A loaded base made into one subject and back, bit for bit, and what steering measures for it. Knows no benchmark."""
