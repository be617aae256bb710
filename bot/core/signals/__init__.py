"""How one stream of observations or measurements is judged: thresholds, baselines, budgets."""
