"""Is somebody there? Frames in, signals and a verdict out. Pure."""
