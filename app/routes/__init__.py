"""The HTTP routes, thin: each reads its input, calls one thing, and shapes the answer."""
