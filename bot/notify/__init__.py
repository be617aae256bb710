"""Contact points: how to notify people beyond Slack."""
