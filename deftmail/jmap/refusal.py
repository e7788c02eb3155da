"""What an engine's refusal to send means (RFC 8621 §7.5, and what Cyrus makes of SMTP answers)."""

from __future__ import annotations

import re
from typing import Any

from deftmail.jmap.errors import SendRefused, SendUnknown, SetError
from deftmail.jmap.values import as_text, as_texts

# RFC 3463 code and the rest of an SMTP answer.
_ENHANCED = re.compile(r"\s*(?:[245]\d\d[ -])?\s*(([245])\.\d{1,3}\.\d{1,3})(?:\s+(.*))?\Z", re.DOTALL)
# What Postfix puts before the sentence of a policy: "<bob@x.test>: Recipient address rejected: ",
# "<END-OF-MESSAGE>: End-of-data rejected: " and the like.
_POSTFIX = re.compile(r"<[^<>]{0,320}>: [A-Z][A-Za-z -]{1,40} rejected: ")
# The last thing the server said before the connection broke was its invitation to send the body (reply 354).
_AFTER_BODY = re.compile(r"\s*(?:354\s|end data with|start mail input)", re.IGNORECASE)


# How Stalwart words what became of a recipient in its queue; its answer to our own RCPT stands as it was given.
_FURTHER_ON = "Code: "
# How Stalwart words an answer of its own SMTP side, whatever the type it gives the error.
_STALWART = re.compile(r"Server rejected [A-Z-]{4,10}: (?=[245]\d\d[ -])")


def explain(error: SetError, draft_id: str | None) -> SendRefused | SendUnknown:
    """The exception for a submission that was not created."""
    by_stalwart = _STALWART.match(error.description)
    if by_stalwart is not None:
        return _smtp(error.description[by_stalwart.end() :], draft_id)
    match error.type:
        case "smtpProtocolError":
            return _smtp(error.description, draft_id)
        case "tooManyRecipients":
            return SendRefused("too_many", temporary=False, sentence=error.description, draft_id=draft_id)
        case "invalidRecipients" | "noRecipients":
            recipients = as_texts(error.more.get("invalidRecipients"))
            return SendRefused(
                "recipients", temporary=False, sentence=error.description, recipients=recipients, draft_id=draft_id
            )
        case "tooLarge":
            return SendRefused("too_large", temporary=False, sentence=error.description, draft_id=draft_id)
        case "forbiddenMailFrom" | "forbiddenFrom":
            return SendRefused("sender", temporary=False, sentence=error.description, draft_id=draft_id)
        case "forbiddenToSend":
            # Cyrus makes this of every x.3.0, among them Postfix's "451 4.3.0 Temporary lookup failure": with the text
            # of a mail server it means that sending does not work now; a real prohibition comes without one.
            return SendRefused("engine", temporary=bool(error.description), draft_id=draft_id, detail=error.description)
        case "invalidEmail" | "invalidProperties" | "notFound":
            return SendRefused("refused", temporary=False, sentence=error.description, draft_id=draft_id)
        case _:
            return SendRefused("engine", temporary=True, draft_id=draft_id, detail=f"{error.type} {error.description}")


def refused_recipients(submission: dict[str, Any]) -> dict[str, str]:
    """The replies to a submission's recipients that were refused (RFC 8621 §7). Those that a server further on refused
    are not among them: of these a bounce tells."""
    status = submission.get("deliveryStatus")
    return {
        address: as_text(one.get("smtpReply"))
        for address, one in (status.items() if isinstance(status, dict) else ())
        if isinstance(one, dict)
        and one.get("delivered") == "no"
        and not as_text(one.get("smtpReply")).startswith(_FURTHER_ON)
    }


def sentences(refused: dict[str, str]) -> dict[str, str]:
    """The server's sentence for people in each reply, possibly empty."""
    causes = {address: _smtp(reply, None) for address, reply in sorted(refused.items())}
    return {to: cause.sentence if isinstance(cause, SendRefused) else "" for to, cause in causes.items()}


def nobody_took_it(refused: dict[str, str], draft_id: str) -> SendRefused | SendUnknown:
    """The exception for a submission whose recipients were all refused."""
    first = _smtp(next(iter(refused.values())), draft_id)
    if isinstance(first, SendRefused) and first.temporary:
        return first
    sentence = first.sentence if isinstance(first, SendRefused) else ""
    return SendRefused(
        "recipients", temporary=False, sentence=sentence, recipients=tuple(sorted(refused)), draft_id=draft_id
    )


def _smtp(description: str, draft_id: str | None) -> SendRefused | SendUnknown:
    found = _ENHANCED.match(description)
    if found is None:
        if _AFTER_BODY.match(description):
            return SendUnknown("connection lost after the body", draft_id=draft_id)
        # "Internal Error": the engine could not reach its SMTP server, or words of its own.
        return SendRefused("engine", temporary=True, draft_id=draft_id, detail=description)
    code, kind, sentence = found.group(1), found.group(2), (found.group(3) or "").strip()
    if kind == "2":
        # One recipient of several was refused and the text reported is that of a later one that was not.
        return SendRefused("recipients", temporary=True, draft_id=draft_id)
    sentence = _POSTFIX.sub("", sentence, count=1)
    return SendRefused("refused", temporary=kind == "4", sentence=sentence, enhanced_code=code, draft_id=draft_id)
