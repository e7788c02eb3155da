"""A Stalwart in memory: its management and as much of its mail as tests and the bench need."""
