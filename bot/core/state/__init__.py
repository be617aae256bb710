"""All that is remembered and saved, and all that can happen (stimuli) and be done (effects)."""
