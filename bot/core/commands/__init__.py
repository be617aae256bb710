"""What people order: acknowledge, silence, resolve, escalate, take a shift."""
