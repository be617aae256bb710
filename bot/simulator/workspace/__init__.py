"""A local Slack workspace that refuses what Slack refuses, and a page that shows it."""
