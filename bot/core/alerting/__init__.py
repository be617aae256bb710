"""Who is notified of an open incident, and when again."""
