"""What `./dev` is made of beyond its commands: Python's standard library alone."""
