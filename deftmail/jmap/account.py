"""One mailbox, everything that can be done with it."""

from __future__ import annotations

from deftmail.jmap.actions import ActionCalls
from deftmail.jmap.email import EmailCalls
from deftmail.jmap.sieve import SieveCalls
from deftmail.jmap.submission import SubmissionCalls
from deftmail.jmap.thread import ThreadCalls


class MailAccount(ThreadCalls, EmailCalls, ActionCalls, SubmissionCalls, SieveCalls):
    """A mailbox reached by an ``Access``.

    Cheap to make, one per web request; the HTTP connections and the session object behind it are shared. All methods
    may raise ``JmapError`` and ask its ``temporary``.
    """
