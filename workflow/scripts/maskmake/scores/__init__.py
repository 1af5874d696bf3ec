"""Numbers from masks and probabilities, and how sure they are."""
