"""Work on what others wrote, within budgets of time, memory and count, beside the event loops."""
