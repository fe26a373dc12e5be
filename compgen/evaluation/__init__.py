"""How good a distribution is: rates, scores, distances."""
