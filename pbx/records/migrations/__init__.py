"""The store's history, step by step, up and down."""
