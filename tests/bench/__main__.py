"""The command `symdiff bench` from a checkout."""

from __future__ import annotations

import sys

from symdiff.terminal.app import main

if __name__ == "__main__":
    main(["bench", *sys.argv[1:]])
