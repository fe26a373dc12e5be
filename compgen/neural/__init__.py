"""Language models, which need torch. Nothing outside this package and ``compgen.training`` imports it."""
