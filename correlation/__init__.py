"""The pure core: events, correlation keys, rules, and how an event's keys are worked out."""
