"""A local Slack workspace that refuses what Slack refuses, and a web page that shows it."""
