"""A local world to run the bot against: scenarios, tenant, sources and Slack workspace."""
