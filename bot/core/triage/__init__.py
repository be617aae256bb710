"""From evidence to a verdict: the table, the rules that apply, cause and confidence."""
