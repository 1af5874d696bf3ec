"""From probabilities to masks: the decision, how it is learned, and what it does."""
