"""What goes to Slack: messages and Home tabs."""
