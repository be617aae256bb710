"""Worlds drawn from causes, how the bot does in them, and the fit of its table to them."""
