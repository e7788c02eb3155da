"""Reads of the operator's room."""
