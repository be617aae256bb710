"""To Slack: messages and Home tabs."""
