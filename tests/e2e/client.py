# SPDX-License-Identifier: GPL-3.0-or-later
"""
The raw client: bytes out as the test gives them, responses in through the strict reader of wire.py. One thread, one
connection, one deadline per read. It never repairs, retries or follows anything.
"""

import socket
import time

from wire import STATUS_LINE, Ended, Stream, framing_of, hard_close, read_chunks, read_head


class Response:
    """One final response; `end` is "complete", or how the connection ended before it was ("eof", "reset", "timeout")."""

    def __init__(self, head):
        self.head = head
        self.version, status, reason = (part.decode("latin-1") for part in head.start)
        self.status, self.reason = int(status), reason
        self.fields, self.get, self.all = head.fields, head.get, head.all
        self.framing = None
        self.body = b""
        self.trailers = []
        self.interim = []
        self.end = "complete"

    @property
    def complete(self):
        return self.end == "complete"

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.framing} {self.end} {self.fields} {self.body[:200]!r}>"


class RawClient:
    """A connection to `address`: (host, port) or a unix path."""

    def __init__(self, address, timeout=8.0, receive_buffer=None, source=None):
        family = socket.AF_UNIX if isinstance(address, str) else \
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind(source)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        if family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = Stream(self.sock, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        hard_close(self.sock)

    def send(self, data, ignore_errors=True):
        """Sends all; a proxy that closes early is not an error of the sender unless the test says so."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            if not ignore_errors:
                raise
            return False

    def send_pieces(self, data, points, pause=0.002):
        """Sends data cut at the given offsets, with a pause so that each piece is read by itself."""
        edges = [0, *points, len(data)]
        for start, end in zip(edges, edges[1:]):
            if start < end and not self.send(data[start:end]):
                return False
            time.sleep(pause)
        return True

    def finish(self):
        """Half-close: no more bytes from us."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def head(self, method="GET"):
        """The head of the next final response, its interim responses inside."""
        interim = []
        while True:
            response = Response(read_head(self.stream, STATUS_LINE))
            if response.status >= 200 or response.status == 101:
                break
            assert not response.all("content-length") and not response.all("transfer-encoding"), \
                f"framing in an interim response (requirement 52): {response}"
            interim.append(response)
        response.interim = interim
        response.framing = self._framing(response, method)
        return response

    @staticmethod
    def _framing(response, method):
        said = framing_of(response.head)
        if response.status == 204:
            assert said is None, f"framing in a 204 (requirement 52): {response}"
        if method == "HEAD" or response.status in (101, 204, 304):
            return "none"
        return "close" if said is None else said

    def body(self, response):
        """Yields the runs of the body; sets response.end."""
        try:
            if response.framing == "chunked":
                yield from read_chunks(self.stream, response.trailers)
            elif response.framing == "close":
                yield from self.stream.until_end()
            elif response.framing != "none":
                yield from self.stream.exactly(response.framing)
        except Ended as end:
            response.end = end.how

    def response(self, method="GET"):
        """The next final response with its body."""
        response = self.head(method)
        response.body = b"".join(self.body(response))
        return response

    def request(self, data, method=None):
        """Sends one request and reads its response."""
        self.send(data)
        return self.response(method or data.split(b" ", 1)[0].decode("latin-1"))

    def get(self, target="/", *fields, method="GET", body=b""):
        """A well-formed request; fields are "Name: value" strings; a body gets its Content-Length."""
        lines = [f"{method} {target} HTTP/1.1", *fields]
        if not any(field.lower().startswith("host:") for field in fields):
            lines.insert(1, "Host: example.test")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return self.request("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, method)

    def all_responses(self, limit=10):
        """Every response until the connection ends: (list, how it ended)."""
        responses = []
        while len(responses) < limit:
            try:
                responses.append(self.response())
            except Ended as end:
                assert not end.partial.strip(), f"bytes that are no response: {end.partial[:200]!r}"
                return responses, end.how
            if not responses[-1].complete:
                return responses, responses[-1].end
        return responses, "limit"

    def ending(self):
        """How the connection ends: "eof" or "reset"; "timeout" when it does not. Bytes on the way fail the test."""
        try:
            assert not self.stream.buffer, f"unexpected bytes {bytes(self.stream.buffer)[:200]!r}"
            self.stream.fill()
        except Ended as end:
            return end.how
        raise AssertionError(f"unexpected bytes {bytes(self.stream.buffer)[:200]!r}")
