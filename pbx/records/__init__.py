"""The records: journal in, one row a call out."""
