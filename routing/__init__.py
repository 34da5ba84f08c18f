"""The way out: matching events with waits, delivering to Temporal, and the audit of it all."""
