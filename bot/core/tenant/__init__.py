"""Steps one tenant: which probes run when, and how its signals change."""
