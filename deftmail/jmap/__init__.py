"""Our JMAP client (RFC 8620, RFC 8621): a mailbox on either engine, spoken to in few requests and typed answers.

It knows nothing of the rest of DeftMail and nothing of Django. ``Access`` says how to reach a mailbox, ``MailAccount``
is the mailbox, every error is a ``JmapError``.
"""

from deftmail.jmap.access import Access
from deftmail.jmap.account import MailAccount
from deftmail.jmap.actions import State
from deftmail.jmap.address import Address
from deftmail.jmap.answers import SetResult
from deftmail.jmap.blob import Blob, Download
from deftmail.jmap.compose import OutgoingMessage, OutgoingPart, new_message_id, valid_address
from deftmail.jmap.email import PICTURES, Email, Part, TextPart
from deftmail.jmap.errors import (
    AnswerTooLarge,
    AuthFailed,
    EngineUnavailable,
    InvalidId,
    InvalidMessage,
    InvalidScript,
    JmapError,
    MethodFailed,
    NotFound,
    OverQuota,
    RequestRefused,
    SendRefused,
    SendUnknown,
    SetError,
    SetFailed,
    TooLarge,
)
from deftmail.jmap.ids import check_id, check_ids
from deftmail.jmap.mailbox import Folder, Folders
from deftmail.jmap.quota import Quota
from deftmail.jmap.search import Search, Segment, Snippet
from deftmail.jmap.submission import Draft, Identity, Sent
from deftmail.jmap.thread import Conversation, ConversationPage, ConversationRow
from deftmail.jmap.transport import JmapClient, default_client

__all__ = [
    "PICTURES",
    "Access",
    "Address",
    "AnswerTooLarge",
    "AuthFailed",
    "Blob",
    "Conversation",
    "ConversationPage",
    "ConversationRow",
    "Download",
    "Draft",
    "Email",
    "EngineUnavailable",
    "Folder",
    "Folders",
    "Identity",
    "InvalidId",
    "InvalidMessage",
    "InvalidScript",
    "JmapClient",
    "JmapError",
    "MailAccount",
    "MethodFailed",
    "NotFound",
    "OutgoingMessage",
    "OutgoingPart",
    "OverQuota",
    "Part",
    "Quota",
    "RequestRefused",
    "Search",
    "Segment",
    "SendRefused",
    "SendUnknown",
    "Sent",
    "SetError",
    "SetFailed",
    "SetResult",
    "Snippet",
    "State",
    "TextPart",
    "TooLarge",
    "check_id",
    "check_ids",
    "default_client",
    "new_message_id",
    "valid_address",
]
