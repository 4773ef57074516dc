"""Data in shared libraries (ELF, 64 bits, little-endian), read as bytes: nothing of one is loaded or run."""

from __future__ import annotations

import struct
from pathlib import Path

from ostinato.errors import ForeignModelError
from ostinato.packages.placing import MAX_BYTES

_LOADED, _DYNAMIC_SYMBOLS, _RELOCATIONS = 1, 11, 4
_RELATIVE = {62: 8, 183: 1027}
"""By the machine (x86-64, ARM64), the relocation that puts an address into data."""
_MOST = 1 << 16
"""Of sections, symbols and relocations."""


class Library:
    """What a shared library's addresses hold when it is loaded."""

    def __init__(self, path: Path) -> None:
        """Raises ForeignModelError if it is no such library, or a damaged one."""
        if path.stat().st_size > MAX_BYTES:
            raise ForeignModelError(f"{path.name} has over {MAX_BYTES} bytes")
        self.name = path.name
        self._file = path.read_bytes()
        if self._file[:6] != b"\x7fELF\x02\x01":
            raise ForeignModelError(f"{path.name} is no shared library for Linux of 64 bits, little-endian")
        self._segments: list[tuple[int, int, int]] = []
        self._symbols: dict[str, tuple[int, int]] = {}
        self._pointers: dict[int, int] = {}
        (machine,) = self._read("<H", 18)
        segments, sections = self._read("<QQ", 32)
        size, count, wide, many = self._read("<HHHH", 54)
        for i in range(count):
            kind, offset, address, length = self._read("<I4xQQ8xQ", segments + i * size)
            if kind == _LOADED:
                self._segments.append((address, offset, length))
        tables = [self._read("<4xI16xQQI12xQ", sections + i * wide) for i in range(many)]
        for kind, offset, length, linked, each in tables:
            if kind not in (_DYNAMIC_SYMBOLS, _RELOCATIONS):
                continue
            if each != 24 or length // each > _MOST:
                raise ForeignModelError(f"{self.name} is damaged: a table of {length} bytes is none")
            for at in range(offset, offset + length, each):
                if kind == _RELOCATIONS:
                    place, what, value = self._read("<QQQ", at)
                    if what == _RELATIVE.get(machine):
                        self._pointers[place] = value
                elif linked < many:
                    name, value, extent = self._read("<I4xQQ", at)
                    self._symbols[self._text(tables[linked][1] + name)] = value, extent

    def symbol(self, name: str) -> tuple[int, int]:
        """Where what is exported by that name begins, and how many bytes it has. Raises ForeignModelError."""
        if name not in self._symbols:
            raise ForeignModelError(f"{self.name} exports no {name}")
        return self._symbols[name]

    def bytes_at(self, address: int, size: int) -> bytes:
        """What lies there, addresses as in `pointer_at`. Raises ForeignModelError if nothing does."""
        offset = self._offset(address, size)
        return self._file[offset : offset + size]

    def int_at(self, address: int) -> int:
        """The 32 bits there, as a signed number."""
        (number,) = struct.unpack("<i", self.bytes_at(address, 4))
        return int(number)

    def text_at(self, address: int) -> str:
        """The zero-terminated text there, of 255 bytes at most."""
        return self._text(self._offset(address, 1))

    def pointer_at(self, address: int) -> int:
        """The address that data holds there; 0 for none."""
        return self._pointers.get(address, 0)

    def _offset(self, address: int, size: int) -> int:
        """Where in the file ``size`` bytes of an address are."""
        for first, offset, length in self._segments:
            if size >= 0 and first <= address and address + size <= first + length:
                return offset + address - first
        raise ForeignModelError(f"{self.name} holds no {size} bytes at {address:#x}")

    def _read(self, form: str, offset: int) -> tuple[int, ...]:
        if offset + struct.calcsize(form) > len(self._file):
            raise ForeignModelError(f"{self.name} is damaged: it ends before {offset}")
        return struct.unpack_from(form, self._file, offset)

    def _text(self, offset: int) -> str:
        text, zero, _ = self._file[offset : offset + 256].partition(b"\0")
        if not zero or not text.isascii():
            raise ForeignModelError(f"{self.name} is damaged: no name at {offset}")
        return text.decode("ascii")
