"""Journals of whole months, made from recorded shapes of real calls."""
