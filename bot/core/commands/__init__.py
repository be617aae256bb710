"""What people do with commands: acknowledge, resolve, escalate, silence, go on call."""
