"""What a library user and the command line both call: every operation, with all that it refuses.

`traitgraph` itself names the public part. Must not know an option of the command line, and imports nothing here: each
module loads what it needs, so that `--help` loads no compiler and a plan no torch.
"""
