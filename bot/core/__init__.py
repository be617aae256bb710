"""The rules of the trade: standard library only, no clock, no input or output.

Instants (`…_at`) are seconds since the Unix epoch, UTC. Spans (`…_s`) are seconds.
"""
