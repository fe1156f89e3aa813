"""The network beside PyTorch's, which runs in an environment of its own."""
