"""Making the net's weights: `make train`. Needs PyTorch, which nothing else does."""
