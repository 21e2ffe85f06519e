"""The engine: Asterisk in a private Debian root, configured from one city."""
