"""The commands of `gerbang`, one module each."""
