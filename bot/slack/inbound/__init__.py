"""From Slack: commands, clicks, forms and mentions, by Socket Mode or HTTP."""
