"""Galleries: web pages that show samples of many models after many prompts, and explore next-byte distributions."""
