"""A Slack bot that says why logins break."""
