"""State to Block Kit: every sentence that people read in Slack. Pure."""
