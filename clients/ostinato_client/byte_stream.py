"""Bytes from a file or a pipe, read once and in order, where a wait for more can be ended from another thread."""

from __future__ import annotations

import io
import os
import select
import stat
import threading

PATIENCE_S = 0.1
"""How long `ByteStream.close` may go unnoticed by who waits for a pipe."""
PIECE_BYTES = 65536


class ByteStream:
    """Reads an open descriptor, which stays its owner's. ``error``: why it ended, if not because it was over.

    ``size``: bytes in all, of a regular file at its beginning; None for a pipe or a device.
    """

    def __init__(self, descriptor: int) -> None:
        self.error: OSError | None = None
        status = os.fstat(descriptor)
        file = stat.S_ISREG(status.st_mode) and os.lseek(descriptor, 0, os.SEEK_CUR) == 0  # else it goes on midway
        self.size = status.st_size if file else None
        self._descriptor = descriptor
        self._ahead = bytearray()  # read already, but only looked at
        self._closed = threading.Event()

    def peek(self, count: int, start: int = 0) -> bytes:
        """The next ``count`` bytes, from number ``start`` on, without taking them; fewer only if it ends before."""
        while len(self._ahead) < count and (more := self._next(max(count - len(self._ahead), PIECE_BYTES))):
            self._ahead += more
        return bytes(self._ahead[start:count])

    def read(self, count: int, at_least: int | None = None) -> bytes:
        """The next ``count`` bytes; fewer if it ends before, or if ``at_least`` so many are there and no more yet."""
        self.peek(count if at_least is None else min(count, at_least))
        taken = bytes(self._ahead[:count])
        del self._ahead[:count]
        return taken

    def skip(self, count: int) -> None:
        """Take so many bytes, if there are so many, and forget them."""
        while count > 0 and (taken := self.read(min(count, PIECE_BYTES))):
            count -= len(taken)

    def rewind(self) -> io.FileIO:
        """Back to the beginning of a regular file, which is also returned as a file object."""
        self._ahead.clear()
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return io.FileIO(self._descriptor, closefd=False)

    def close(self) -> None:
        """Let it end here, for whoever waits too."""
        self._closed.set()

    def _next(self, most: int) -> bytes:
        while not self._closed.is_set():
            try:
                if self.size is not None or _ready(self._descriptor):
                    return os.read(self._descriptor, most)
            except BlockingIOError:
                continue
            except OSError as error:
                self.error = error
                break
        return b""


def _ready(descriptor: int) -> bool:
    """Whether something has come, or its end, within PATIENCE_S."""
    if not hasattr(select, "poll"):  # Windows: the read itself waits
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(PATIENCE_S * 1000))


class VirtualFile:
    """A `ByteStream` as a file object for libsndfile, which asks for its length and goes back to where it began.

    It ends after ``length`` bytes if that is given. ``eager``: a read gives what is there, if it would have to wait.
    """

    _HEADER, _KEPT = 64, 4096
    _ENDLESS = 1 << 62

    def __init__(self, stream: ByteStream, length: int | None = None, eager: bool = False) -> None:
        self._stream = stream
        self._length = self._ENDLESS if length is None else length
        self._at_least = self._HEADER if eager else None
        self._kept = b""
        self._taken = 0
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of files."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        """As of files."""
        return self._at

    def read(self, count: int) -> bytes:
        """As of files; at a place where the stream has been and which was not kept, or has not been: nothing."""
        got = self._kept[self._at : self._at + count]
        if self._at + len(got) == self._taken:
            more = self._stream.read(min(count - len(got), self._length - self._taken), self._at_least)
            self._taken += len(more)
            if len(self._kept) < self._KEPT:
                self._kept += more
            got += more
        self._at += len(got)
        return got


class Relay:
    """A pipe that a thread fills with what a `ByteStream` has, for readers in C that nothing else can wake.

    ``descriptor`` is the end to read from. `close` it when nobody reads any more.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.descriptor, self._into = os.pipe()
        self._thread = threading.Thread(target=self._fill, name="ostinato-relay", daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        try:
            with os.fdopen(self._into, "wb", buffering=0) as into:
                while piece := self._stream.read(PIECE_BYTES, at_least=1):
                    into.write(piece)
        except BrokenPipeError:
            pass  # closed before all was read

    def close(self) -> None:
        """Close the end that is read from, and the stream; the thread ends with them."""
        self._stream.close()
        os.close(self.descriptor)
        self._thread.join()
