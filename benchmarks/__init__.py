"""Pointsman beside the limits of its parts, and beside what one would write by hand."""
