"""The stored state, and all that can happen (stimuli) and be done (effects)."""
