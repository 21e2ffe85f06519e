"""FastAGI sessions per second: one load generator, two servers."""
