"""A company's way out of a block or a limit: cases that a person of the installation looks at."""
