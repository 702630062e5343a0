"""`python -m traitgraph` is `traitgraph`."""

import sys

from traitgraph.cli import main

if __name__ == "__main__":
    sys.exit(main())
