"""Models derived from a compressor: the law of its decoder, its parts mixed, or the paper's rule."""
