"""What DeftMail costs, measured on its own stack: `make bench`, one JSON line per figure."""
