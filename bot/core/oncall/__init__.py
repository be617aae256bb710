"""Who is on call, and who is notified next while nobody acknowledges."""
