"""Test callers: a carrier, callers, operators, on real telephony."""
