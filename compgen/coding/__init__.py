"""From distributions to files and back: the format, the entropy coder, and what a file may cost."""
