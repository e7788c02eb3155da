"""Stalwart's ids: numbers in base 32, big-endian, of minimal length."""

from __future__ import annotations

ALPHABET = "abcdefghijklmnopqrstuvwxyz792013"


def encode(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, 32)
        text = ALPHABET[digit] + text
        if number == 0:
            return text


def decode(text: str) -> int:
    number = 0
    for letter in text:
        number = number * 32 + ALPHABET.index(letter)
    return number
