"""Whole calls in virtual time: does the filter, as a dialogue, lose anybody?"""
