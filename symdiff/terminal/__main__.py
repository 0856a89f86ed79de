"""`python -m symdiff.terminal` is the command `symdiff`."""

from symdiff.terminal.app import main

main()
