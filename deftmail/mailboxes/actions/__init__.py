"""Everything that changes a mailbox. Each is one transaction of the actor's company, a savepoint where one is open."""

from deftmail.mailboxes.actions.change import change_mailbox, retry_sync, set_status
from deftmail.mailboxes.actions.create import create_mailbox, judge_password
from deftmail.mailboxes.actions.password import set_mailbox_password
from deftmail.mailboxes.actions.record import record_sign_in, record_usage
from deftmail.mailboxes.actions.remove import delete_mailbox

__all__ = [
    "change_mailbox",
    "create_mailbox",
    "delete_mailbox",
    "judge_password",
    "record_sign_in",
    "record_usage",
    "retry_sync",
    "set_mailbox_password",
    "set_status",
]
