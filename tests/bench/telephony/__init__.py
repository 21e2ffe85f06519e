"""Small SIP phones that know to the millisecond when a sound left and a phone rang.

Not for tests of the switch (those use a second Asterisk, SIPp and baresip): these exist
because a stopwatch must start with the very packet that carries a key or a voice.
"""
