"""How incidents open, group, change, resolve and reopen, and what is sent about them."""
