"""Language models with a tokeniser: distributions over bytes, and files coded as tokens."""
