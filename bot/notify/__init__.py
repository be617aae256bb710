"""Ways to reach people when Slack is not enough."""
