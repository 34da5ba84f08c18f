"""The console: the operators' pages at `/console`, rendered here and readable without scripts."""
