"""What the models of contexts and of samples are made of."""
