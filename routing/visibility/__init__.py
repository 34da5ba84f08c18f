"""Keeping up with Temporal by its visibility: which runs have closed lately."""
