# SPDX-License-Identifier: GPL-3.0-or-later
"""
The test origin: an HTTP/1 server that records every raw byte, reads requests as strictly as wire.py can, and answers
by a script. One accepting thread and one thread per connection, all daemons. What the proxy sends wrongly is kept in
`violations`; a test that ends with any of them fails. It never guesses at framing.
"""

import os
import socket
import threading
import time

from wire import REQUEST_LINE, Ended, Malformed, Stream, framing_of, hard_close, read_chunks, read_head, wait_for

HOP_BY_HOP = ("keep-alive", "proxy-connection", "upgrade", "proxy-authorization")


class Request:
    """One request that the origin received; `complete` once its body was read to its end."""

    def __init__(self, head, conn):
        self.conn, self.head = conn, head
        self.method, self.target, self.version = (part.decode("latin-1") for part in head.start)
        self.fields, self.get, self.all, self.names = head.fields, head.get, head.all, head.names
        self.framing = framing_of(head)
        self.body, self.trailers = b"", []
        self.complete = False

    def __repr__(self):
        return f"<{self.method} {self.target} {self.framing} complete={self.complete} {self.fields}>"


class Connection:
    """One connection from the proxy, used by one thread; tests read `raw`, `requests` and `ended`."""

    def __init__(self, sock, number, timeout):
        self.sock, self.number = sock, number
        self.raw = bytearray()
        self.requests = []
        self.ended = None
        self.stream = Stream(sock, timeout, self.raw.extend)

    def send(self, data):
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def respond(self, status=200, body=b"", fields=(), reason="OK"):
        lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *fields]
        return self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def read_body(self, request):
        """Yields the request's body; fills its trailers and `complete`."""
        if request.framing == "chunked":
            yield from read_chunks(self.stream, request.trailers)
        elif request.framing:
            yield from self.stream.exactly(request.framing)
        request.complete = True

    def wait_end(self, seconds=8.0):
        """Waits until the proxy ends this connection; returns how."""
        self.sock.settimeout(seconds)
        try:
            while True:
                self.stream.fill()
        except Ended as end:
            self.ended = end.how
            return end.how

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        hard_close(self.sock)


def answer_plainly(conn, request):
    """The default script: says who answered and what was asked."""
    conn.respond(body=f"{conn.origin.name} {request.method} {request.target}\n".encode("latin-1"))


class Origin:
    """
    handler(conn, request) answers one request; it may also close or reset. With read_body=False the handler reads the
    body itself. `raw_handler(conn)` takes the whole connection instead. Address: 127.0.0.1, ::1 (host) or a unix path;
    a port of the kernel's choice unless given.
    """

    def __init__(self, handler=answer_plainly, *, name="origin", read_body=True, raw_handler=None, host="127.0.0.1",
                 path=None, port=0, timeout=30.0, receive_buffer=None, backlog=512):
        self.handler, self.raw_handler, self.name, self.read_body = handler, raw_handler, name, read_body
        self.timeout, self.path = timeout, path
        self.connections, self.violations, self.log = [], [], []
        self.lock = threading.Lock()
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(path if path else (host, port))
        self.listener.listen(backlog)
        self.port = None if path else self.listener.getsockname()[1]
        self.address = f"unix:{path}" if path else f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.url = "http://" + self.address
        self.stopping = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.stopping:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.path is None:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                conn = Connection(sock, len(self.connections), self.timeout)
                conn.origin = self
                self.connections.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            if self.raw_handler:
                self.raw_handler(conn)
            else:
                while self._one(conn):
                    pass
        except Ended as end:
            conn.ended = end.how
        except Malformed as error:
            self.violations.append(f"{error}; connection: {bytes(conn.raw[-600:])!r}")
        except (OSError, ValueError) as error:
            conn.ended = conn.ended or f"error {error}"
        finally:
            conn.ended = conn.ended or "closed here"
            conn.close()

    def _one(self, conn):
        request = Request(read_head(conn.stream, REQUEST_LINE), conn)
        self._check(request)
        conn.requests.append(request)
        self.log.append(request)
        if self.read_body:
            request.body = b"".join(conn.read_body(request))
        self.handler(conn, request)
        return conn.sock.fileno() >= 0

    def _check(self, request):
        """What every forwarded request must be, whatever came in."""
        names = request.names()
        wrong = [name for name in HOP_BY_HOP if name in names]
        if names.count("host") != 1:
            wrong.append(f"{names.count('host')} Host fields")
        if any(value.lower() not in ("close", "keep-alive", "te") for value in request.all("connection")):
            wrong.append(f"Connection: {request.all('connection')}")
        if request.version != "HTTP/1.1":
            wrong.append(request.version)
        if wrong:
            self.violations.append(f"not normalised: {wrong} in {request}")

    def requests(self):
        """All requests so far, in the order of their heads."""
        return list(self.log)

    def raw_size(self):
        """How many raw bytes came in."""
        with self.lock:
            return sum(len(conn.raw) for conn in self.connections)

    def open_connections(self):
        with self.lock:
            return [conn for conn in self.connections if conn.ended is None]

    def wait_requests(self, count, seconds=8.0):
        return wait_for(lambda: len(self.requests()) >= count and self.requests(), seconds,
                        f"{count} requests at {self.name}, {len(self.requests())} came")

    def close_listener(self):
        """From now on connections are refused."""
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    def close(self):
        self.close_listener()
        for conn in self.connections:
            conn.close()


def refuse_early(status, body):
    """A script for read_body=False: a final answer before the body, which is then read to its end or to the cut."""
    def script(conn, request):
        conn.respond(status, body)
        for _ in conn.read_body(request):
            pass
    return script


def hang(conn, _request, seconds=20.0):
    """A script that never answers; it ends with the connection."""
    conn.wait_end(seconds)


def sleep_then_answer(seconds):
    def script(conn, request):
        time.sleep(seconds)
        answer_plainly(conn, request)
    return script
