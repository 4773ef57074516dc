"""Nested data from outside, counted before it is decoded: a byte of it may become an object of sixty-four."""

from __future__ import annotations

MAX_DEPTH = 32
_HEADS = {
    0xC0: 0, 0xC2: 0, 0xC3: 0,  # nil, false, true
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,  # numbers
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,  # extensions of fixed sizes
}  # fmt: skip
"""Bytes that follow the first of a value without a length of its own."""
_LENGTHS = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1), 0xD9: (1, 0), 0xDA: (2, 0),
    0xDB: (4, 0),
}  # fmt: skip
"""Of binaries, extensions and strings: the width of the length, and bytes that follow besides."""
_COUNTS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Of arrays and maps: the width of the count, and values for each."""


def check_msgpack(data: bytes, most_values: int, most_depth: int = MAX_DEPTH) -> None:
    """Raise ValueError unless ``data`` is one msgpack value of at most so many values (containers and all that is in
    them), nested at most so deep. Takes no memory, and time for so many values at most."""
    at, values = 0, 1  # values announced so far
    left = [1]  # of them, those that are still to come, at each depth
    while left:
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        if at >= len(data):
            raise ValueError("it ends too early")
        kind = data[at]
        at += 1
        inside = 0
        if kind < 0x80 or kind >= 0xE0:
            continue
        if kind < 0xA0:
            inside = (kind & 0x0F) * (2 if kind < 0x90 else 1)
        elif kind < 0xC0:
            at += kind & 0x1F
        elif kind in _HEADS:
            at += _HEADS[kind]
        elif kind in _LENGTHS:
            width, more = _LENGTHS[kind]
            at += width + more + int.from_bytes(data[at : at + width], "big")
        elif kind in _COUNTS:
            width, each = _COUNTS[kind]
            inside = each * int.from_bytes(data[at : at + width], "big")
            at += width
        else:
            raise ValueError("it holds a byte that begins no value")
        if inside:
            values += inside
            if values > most_values:
                raise ValueError(f"it holds more than {most_values} values")
            if len(left) > most_depth:
                raise ValueError(f"it is nested deeper than {most_depth}")
            left.append(inside)
    if at != len(data):
        raise ValueError("it ends too early" if at > len(data) else "something follows it")


def check_json(text: str, most_values: int, most_containers: int) -> None:
    """Raise ValueError if the JSON ``text`` may hold more values, or more arrays and objects. Signs within strings
    count too, so the bounds should leave room."""
    containers = text.count("[") + text.count("{")
    if containers > most_containers:
        raise ValueError(f"it holds more than {most_containers} arrays and objects")
    if containers + text.count(",") > most_values:
        raise ValueError(f"it holds more than {most_values} values")
