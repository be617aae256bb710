"""A world on this machine to run the bot against: what it supplies, product code never imports."""
