"""What a mailbox holds from its first day: the archive folder, which Stalwart does not make, and our Sieve script.

One mailbox is looked at and made right by the JMAP client. Many new ones share requests: they are known to be empty,
so nothing is read first, and what a server turns out to do by itself, or not to allow, is learnt from the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from deftmail.engine.drivers.stalwart.wire import CORE, MAIL, SIEVE, Call, Management, read_set
from deftmail.engine.errors import EngineAuthFailed, EngineBusy, EngineError, EngineRefused, EngineUnavailable
from deftmail.jmap import JmapError, MailAccount
from deftmail.jmap import errors as jmap_errors
from deftmail.jmap.mailbox import ROLE_NAMES

SCRIPT_NAME = "deftmail"
# Spam as a filter before us marked it (`X-Spam`), or as Stalwart's own did, goes to the folder of that use
# (RFC 8579 §4), whatever people call it. First in the script, so that no rule of a person can pull it back unseen.
SCRIPT = """# Written by DeftMail. Changes made here are lost.
require ["fileinto", "special-use"];
# spam
if anyof (header :is "X-Spam" "Yes", header :matches "X-Spam-Status" "Yes*") {
  fileinto :specialuse "\\\\Junk" "Junk Mail";
  stop;
}
"""
USING = (CORE, MAIL, SIEVE)
PAUSES = (0.1, 0.4)  # seconds before another attempt where two workers met in one mailbox
MANY = 4  # from so many new mailboxes on, what they have in common is asked and uploaded once


def make_right(account: MailAccount) -> None:
    """Folders by role and the script. Two workers may meet here: one's refusal is the other's success."""
    for pause in (*PAUSES, None):
        try:
            with jmap_as_engine_errors():
                account.ensure_roles()
                if account.sieve_get() != SCRIPT:
                    account.sieve_put(SCRIPT)
        except EngineBusy:
            if pause is None:
                raise
            time.sleep(pause)
        else:
            return


def fill_new(
    management: Management, ids: Sequence[str], account: Callable[[str], MailAccount]
) -> dict[str, EngineError | None]:
    """As `make_right` for accounts made a moment ago, in a call or two each. One outcome for each id.

    account: gives the JMAP account of an id.
    """
    if len(ids) < MANY:
        return {id_: _alone(account(id_)) for id_ in ids}
    [folders] = management.ask([("Mailbox/get", {"accountId": ids[0], "ids": None})], using=USING)
    makes_archive = any(folder.get("role") == "archive" for folder in folders.get("list") or ())
    # Uploaded once, to the caller's own account: acting as a mailbox does not take one's own blobs away.
    blob = management.upload(management.account_id, SCRIPT.encode(), "application/sieve")
    script = {"create": {"s": {"name": SCRIPT_NAME, "blobId": blob}}, "onSuccessActivateScript": "#s"}
    archive = {"create": {"a": {"name": ROLE_NAMES["archive"], "role": "archive", "isSubscribed": True}}}
    calls: list[Call] = []
    for id_ in ids:
        calls.append(("SieveScript/set", {"accountId": id_, **script}))
        if not makes_archive:
            calls.append(("Mailbox/set", {"accountId": id_, **archive}))
    answers = iter(management.each(calls, using=USING))
    outcomes: dict[str, EngineError | None] = {}
    for id_ in ids:
        done = "s" in read_set(next(answers)).created
        if not makes_archive:
            done = "a" in read_set(next(answers)).created and done
        # What did not work in company (the shared blob, another worker in the same mailbox) is made alone.
        outcomes[id_] = None if done else _alone(account(id_))
    return outcomes


def _alone(account: MailAccount) -> EngineError | None:
    try:
        make_right(account)
    except EngineUnavailable:
        raise
    except EngineError as error:
        return error
    return None


@contextmanager
def jmap_as_engine_errors() -> Iterator[None]:
    """The JMAP client's errors as the port's."""
    try:
        yield
    except jmap_errors.EngineUnavailable as error:
        raise EngineUnavailable(f"JMAP: {error}", retry_after=error.retry_after) from error
    except jmap_errors.AuthFailed as error:
        raise EngineAuthFailed(f"JMAP: {error}") from error
    except (jmap_errors.SetFailed, jmap_errors.NotFound, jmap_errors.MethodFailed) as error:
        # A mailbox that was made a moment ago, another worker in the same mailbox: worth another attempt.
        raise EngineBusy(f"JMAP: {error}") from error
    except JmapError as error:
        raise (EngineBusy if error.temporary else EngineRefused)(f"JMAP: {error}") from error
