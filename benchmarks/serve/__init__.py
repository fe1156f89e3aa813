"""How fast the service answers, beside its peers: make bench-serve."""
