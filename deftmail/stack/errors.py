"""Failures of the stack that a person can act on."""


class StackError(Exception):
    """Something the operator must read; printed without a traceback."""


class NotAnsweringError(Exception):
    """A probe reached nothing, or not the protocol it expected. Raised by probes only."""
