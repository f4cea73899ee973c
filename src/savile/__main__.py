"""``python -m savile`` is the command ``savile``."""

import sys

from savile.cli import main

if __name__ == "__main__":
    sys.exit(main())
