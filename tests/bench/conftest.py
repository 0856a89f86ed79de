"""Keep the doctest collector away from the peers: each imports a package that need not be installed."""

collect_ignore_glob = ["peer_*.py"]
