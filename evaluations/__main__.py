"""`python -m evaluations ...`: what a worker runs, and every result's recipe."""

import sys

from evaluations.cli import main

sys.exit(main())
