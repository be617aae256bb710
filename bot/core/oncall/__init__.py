"""Who is on call, and who is called next while nobody acknowledges."""
