"""What is polled: the status feeds."""
