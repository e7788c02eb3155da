"""A mail engine in memory, for tests without servers."""
