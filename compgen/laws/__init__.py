"""Laws: what a compressor's own decoder makes of fair random bits, as a next-byte distribution."""
