# SPDX-License-Identifier: GPL-3.0-or-later
"""
HTTP/1 as the tests read it: strict on purpose, and written apart from core/http, so that a mistake in one is not
repeated by the other. Used by the client (responses) and by the origin (requests). No sockets of its own: it reads
through a `Stream`. Never lenient: what is not exactly well-formed raises Malformed with the bytes in question.
"""

import re
import socket
import time

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) (HTTP/1\.[01])\Z")
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*\Z")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})\Z")  # the proxy never relays chunk extensions
HEAD_MAX = 1 << 18


class Malformed(Exception):
    """What came is not HTTP/1 as this program must send it."""


class Ended(Exception):
    """The connection ended in the middle of a message; `how` is "eof", "reset" or "timeout"."""

    def __init__(self, how, partial=b""):
        super().__init__(f"{how} after {bytes(partial)[-200:]!r}")
        self.how = how
        self.partial = bytes(partial)


class Stream:
    """A socket with a buffer in front; every read has the same deadline rule: `timeout` seconds without a byte."""

    def __init__(self, sock, timeout, record=None):
        self.sock, self.timeout, self.record = sock, timeout, record
        self.buffer = bytearray()
        sock.settimeout(timeout)

    def fill(self, size=65536):
        """Reads once; raises Ended when nothing more comes."""
        try:
            data = self.sock.recv(size)
        except TimeoutError:
            raise Ended("timeout", self.buffer) from None
        except OSError as error:
            raise Ended("reset", self.buffer) from error
        if not data:
            raise Ended("eof", self.buffer)
        if self.record is not None:
            self.record(data)
        self.buffer += data

    def line(self):
        """One line without its CR LF. A lone LF, or a CR elsewhere, is Malformed."""
        while (end := self.buffer.find(b"\n")) < 0:
            if len(self.buffer) > HEAD_MAX:
                raise Malformed(f"endless line {bytes(self.buffer[:80])!r}")
            self.fill()
        text = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        if not text.endswith(b"\r\n") or b"\r" in text[:-2]:
            raise Malformed(f"bad line end {text!r}")
        return text[:-2]

    def exactly(self, size):
        """Yields `size` bytes in runs."""
        while size > 0:
            if not self.buffer:
                self.fill(min(max(size, 4096), 1 << 18))
            run = bytes(self.buffer[:size])
            del self.buffer[:len(run)]
            size -= len(run)
            yield run

    def until_end(self):
        """Yields bytes up to a clean end; a reset raises Ended."""
        while True:
            if self.buffer:
                run = bytes(self.buffer)
                self.buffer.clear()
                yield run
            try:
                self.fill()
            except Ended as end:
                if end.how == "eof":
                    return
                raise


class Head:
    """A start line and its fields, in order, names as sent."""

    def __init__(self, start, fields):
        self.start, self.fields = start, fields

    def all(self, name):
        wanted = name.lower()
        return [value for key, value in self.fields if key.lower() == wanted]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def names(self):
        return [name.lower() for name, _ in self.fields]


def read_fields(stream):
    """Field lines up to the empty line, as (name, value) in str; latin-1 keeps every byte."""
    fields = []
    while line := stream.line():
        match = FIELD_LINE.match(line)
        if not match:
            raise Malformed(f"bad field line {line!r}")
        fields.append((match[1].decode("ascii"), match[2].decode("latin-1")))
    return fields


def read_head(stream, start_line):
    line = stream.line()
    match = start_line.match(line)
    if not match:
        raise Malformed(f"bad start line {line!r}")
    return Head(match.groups(), read_fields(stream))


def framing_of(head):
    """"chunked", a length, or None: what the fields say. Both, doubled or odd ones are Malformed (requirements 39-45)."""
    codings, lengths = head.all("transfer-encoding"), head.all("content-length")
    if codings and (lengths or codings != ["chunked"]):
        raise Malformed(f"framing codings={codings} lengths={lengths}")
    if codings:
        return "chunked"
    if lengths and (len(lengths) > 1 or not re.fullmatch("[0-9]{1,19}", lengths[0])):
        raise Malformed(f"framing lengths={lengths}")
    return int(lengths[0]) if lengths else None


def read_chunks(stream, trailers):
    """Yields chunk data, then fills `trailers` (a list)."""
    while True:
        line = stream.line()
        match = CHUNK_LINE.match(line)
        if not match:
            raise Malformed(f"bad chunk line {line!r}")
        size = int(match[1], 16)
        if size == 0:
            trailers.extend(read_fields(stream))
            return
        yield from stream.exactly(size)
        if stream.line() != b"":
            raise Malformed("chunk data is not followed by CR LF")


def chunked(data, size=None, trailers=()):
    """`data` in the chunked coding, in chunks of `size`."""
    size = size or max(len(data), 1)
    parts = [b"%x\r\n%s\r\n" % (len(data[i:i + size]), data[i:i + size]) for i in range(0, len(data), size)]
    return b"".join(parts) + b"0\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n"


def hard_close(sock):
    """Ends a connection with RST instead of FIN (SO_LINGER 0)."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    except OSError:
        pass
    sock.close()


def wait_for(predicate, seconds, what):
    """Polls until predicate() is true; an AssertionError names what never came."""
    deadline = time.monotonic() + seconds
    while not (result := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.1f} s in vain for {what}")
        time.sleep(0.005)
    return result
