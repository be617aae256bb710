"""From evidence to a verdict: the evidence table, the rules that match, cause and confidence."""
