"""Gerbang112: the telephony switch and IVR of a city's 112 emergency number."""
