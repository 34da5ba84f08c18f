"""What is done off the hot path, by one process of all: who leads, and where its walks stand."""
