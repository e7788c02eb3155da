"""Pages of companies and people."""
