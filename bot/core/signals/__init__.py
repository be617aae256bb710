"""How one stream of observations or measurements is evaluated: thresholds, baselines, budgets."""
