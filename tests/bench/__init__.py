"""`python -m tests.bench` is `symdiff bench`: the cases, ours and the peers' forms of them are in `symdiff/bench`."""
