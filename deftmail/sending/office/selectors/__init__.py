"""What the office reads. Across companies only in `system`."""
