"""``python -m rolecall``: the same as the command ``rolecall``."""

import sys

from rolecall.cli import main

sys.exit(main())
