"""All that the bot decides: standard library only, no clock, no input or output.

Instants (`…_at`) are seconds since the Unix epoch, UTC. Durations (`…_s`) are seconds.
"""
