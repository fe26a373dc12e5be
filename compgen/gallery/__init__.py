"""Pages that people look at and listen to: samples of many prompts by many models, and every next byte explored."""
