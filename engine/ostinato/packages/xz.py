"""Files that xz packed, read in pieces, with a bound on the memory that their dictionary may take: what lzma.open
takes is for the file to say."""

from __future__ import annotations

import io
import lzma

MAX_MEMORY = 128 << 20
"""xz -9 has a dictionary of 64 MB."""
_PIECE = 1 << 16


class Xz(io.RawIOBase):
    """What is in the one stream of ``file``. Raises LZMAError for damage, EOFError where it is cut off."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """As any file."""
        data = b""
        while not data and not self._decompressor.eof:
            piece = self._file.read(_PIECE) if self._decompressor.needs_input else b""
            if self._decompressor.needs_input and not piece:
                raise EOFError("the file is cut off")
            data = self._decompressor.decompress(piece or b"", len(buffer))
        buffer[: len(data)] = data
        return len(data)
