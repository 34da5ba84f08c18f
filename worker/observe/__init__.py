"""What the service shows of itself: metrics, health, traces. No loop of it knows about this."""
