"""How incidents open, join, change, end and return, and what is said of them."""
