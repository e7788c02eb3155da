"""`python -m deftmail.stack`: the same commands, independent of the console script."""

import sys

from deftmail.stack.cli import main

sys.exit(main(sys.argv[1:]))
