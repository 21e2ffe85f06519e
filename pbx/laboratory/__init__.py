"""The ghost filter, measured and explained on recorded callers; never on a call."""
