"""The letters of the demo: what two colleagues of a small company write each other in a week."""

from __future__ import annotations

from dataclasses import dataclass

Person = tuple[str, str]
ANNA: Person = ("Anna Keller", "anna@acme.test")
JONAS: Person = ("Jonas Weber", "jonas@acme.test")
NORTHWIND: Person = ("Mei Tanaka", "mei.tanaka@northwind.example")
PRINTER: Person = ("Copper Street Print", "orders@copperstreet.example")
BANK: Person = ("Harbour Bank", "statements@harbourbank.example")


@dataclass(frozen=True)
class Letter:
    """One message. `hours_ago` orders them; `answers` are the Message-IDs of the conversation so far."""

    sender: Person
    to: tuple[Person, ...]
    subject: str
    text: str
    hours_ago: float
    name: str
    answers: tuple[str, ...] = ()
    cc: tuple[Person, ...] = ()
    html: str = ""
    flags: str = "\\Seen"
    files: tuple[tuple[str, str, bytes], ...] = ()

    @property
    def message_id(self) -> str:
        """In the sender's own domain."""
        return identifier(self.name, self.sender)


def identifier(name: str, sender: Person) -> str:
    """The Message-ID of a letter of the demo."""
    return f"<{name}.demo@{sender[1].partition('@')[2]}>"


_TRUCK = identifier("truck-1", NORTHWIND)
_TRUCK_2 = identifier("truck-2", ANNA)
_OFFER = identifier("offer-1", JONAS)
_OFFER_2 = identifier("offer-2", ANNA)

_TABLE = (
    "<p>Hello Anna,</p><p>here is the offer for the workshop benches, ready for your eyes:</p>"
    '<table style="border-collapse:collapse">'
    '<tr><th style="text-align:left;padding:4px 16px 4px 0;border-bottom:1px solid #ccc">Position</th><th style="text-align:right;padding:4px 0;border-bottom:1px solid #ccc">Price</th></tr>'
    '<tr><td style="padding:4px 16px 4px 0">4 oak benches, oiled</td><td style="text-align:right">2,480.00</td></tr>'
    '<tr><td style="padding:4px 16px 4px 0">Delivery and set-up</td><td style="text-align:right">180.00</td></tr>'
    '<tr><td style="padding:4px 16px 4px 0"><b>Total</b></td>'
    '<td style="text-align:right"><b>2,660.00</b></td></tr></table>'
    "<p>Shall I send it as it is, or do we take the delivery off for them?</p><p>Jonas</p>"
)

_NEWSLETTER = (
    '<div style="max-width:560px;margin:auto;font-family:Georgia,serif">'
    '<h1 style="color:#7c3a1d">November at Copper Street</h1>'
    '<img src="https://img.copperstreet.example/november/header.jpg" width="560" height="180" alt="The print room">'
    "<p>Calendars for next year are on the press. Orders until the 5th of December arrive before the holidays.</p>"
    '<p><a href="https://copperstreet.example/calendars">See the twelve sheets</a></p></div>'
)

LETTERS: tuple[Letter, ...] = (
    Letter(
        PRINTER,
        (ANNA,),
        "November at Copper Street: calendars",
        "Calendars for next year are on the press. Orders until the 5th of December arrive before the holidays.\n\n"
        "See the twelve sheets: https://copperstreet.example/calendars",
        150,
        "news-11",
        html=_NEWSLETTER,
    ),
    Letter(
        JONAS,
        (ANNA,),
        "Offer for the Lindqvist benches",
        "Hello Anna,\n\nhere is the offer for the workshop benches, ready for your eyes:\n\n"
        "4 oak benches, oiled   2,480.00\nDelivery and set-up      180.00\nTotal                  2,660.00\n\n"
        "Shall I send it as it is, or do we take the delivery off for them?\n\nJonas",
        98,
        "offer-1",
        html=_TABLE,
    ),
    Letter(
        ANNA,
        (JONAS,),
        "Re: Offer for the Lindqvist benches",
        "Take the delivery off, please: they were patient with us in spring. With that it can go out today.\n\nAnna\n\n"
        "On Friday, Jonas Weber wrote:\n> Shall I send it as it is, or do we take the delivery off for them?",
        96.5,
        "offer-2",
        answers=(_OFFER,),
    ),
    Letter(
        JONAS,
        (ANNA,),
        "Re: Offer for the Lindqvist benches",
        "Done, and they said yes within the hour. I have put the job on the board for the first week of December.\n\n"
        "Jonas",
        94,
        "offer-3",
        answers=(_OFFER, _OFFER_2),
        flags="\\Seen \\Flagged",
    ),
    Letter(
        BANK,
        (ANNA,),
        "Your statement for October is ready",
        "Dear customer,\n\nthe statement of your business account for October is attached.\n\n"
        "We never ask for your password by mail.\n\n-- \nHarbour Bank, Business Accounts",
        74,
        "statement-10",
        files=(
            (
                "statement-2026-10.csv",
                "text/csv",
                b"date,text,amount\n2026-10-02,Lindqvist deposit,1330.00\n2026-10-14,Oak delivery,-860.40\n",
            ),
        ),
    ),
    Letter(
        ANNA,
        (JONAS,),
        "Key for the side door",
        "Hello Jonas,\n\nthe locksmith brings the two new keys on Wednesday between nine and ten. "
        "Could you be there and try both before he leaves? Last time one of them did not turn.\n\nThank you\nAnna",
        51,
        "key-1",
    ),
    Letter(
        JONAS,
        (ANNA,),
        "Re: Key for the side door",
        "I will be there. I will also ask him about the lock of the paint cupboard while he is at it.\n\nJonas",
        49.5,
        "key-2",
        answers=(identifier("key-1", ANNA),),
    ),
    Letter(
        NORTHWIND,
        (ANNA,),
        "Friday's delivery moves to Monday",
        "Dear Anna,\n\nthe truck with your oak boards is held at the border until Sunday, so we will unload on Monday "
        "at seven instead of Friday. Is somebody at the gate that early?\n\nKind regards\nMei Tanaka\n\n-- \nNorthwind Timber\n"
        "+46 8 555 0142",
        27,
        "truck-1",
        cc=(JONAS,),
    ),
    Letter(
        ANNA,
        (NORTHWIND,),
        "Re: Friday's delivery moves to Monday",
        "Dear Mei,\n\nMonday at seven is fine, Jonas opens the gate. Please tell the driver to take the north entrance: "
        "the yard in front is full of benches.\n\nAnna",
        26,
        "truck-2",
        answers=(_TRUCK,),
        cc=(JONAS,),
    ),
    Letter(
        NORTHWIND,
        (ANNA,),
        "Re: Friday's delivery moves to Monday",
        "Thank you, I have passed it on. The driver's name is Petr, and he has the delivery note with him.\n\nMei",
        3.2,
        "truck-3",
        answers=(_TRUCK, _TRUCK_2),
        cc=(JONAS,),
        flags="",
    ),
    Letter(
        JONAS,
        (ANNA,),
        "Photos for the website",
        "Hello Anna,\n\nI took a few pictures of the finished benches before they were wrapped. The list with the "
        "sizes is attached; the one by the window is my favourite. Tell me which three you like, then I crop them.\n\nJonas",
        1.4,
        "photos-1",
        flags="",
        files=(
            (
                "benches.txt",
                "text/plain",
                b"window.jpg   4032x3024\nlong side.jpg 4032x3024\ndetail.jpg    3024x3024\n",
            ),
        ),
    ),
    Letter(
        JONAS,
        (ANNA,),
        "Lunch on Thursday?",
        "The place by the canal has its winter menu again. Twelve thirty?\n\nJonas",
        0.4,
        "lunch-1",
        flags="",
    ),
)
