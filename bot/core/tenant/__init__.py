"""One tenant's step: what is probed when, and what its signals become."""
