"""Stalwart 0.16 and newer, managed by its JMAP objects (`x:…`)."""
