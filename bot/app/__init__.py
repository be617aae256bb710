"""The live bot, put together once: everything real, joined and supervised."""
