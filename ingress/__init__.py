"""The way in: where entries come from, and how they become events."""
