"""Measure symdiff beside other libraries: `python -m tests.bench`. A benchmark, never a test with a clock in it."""
