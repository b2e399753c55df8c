# SPDX-License-Identifier: GPL-3.0-or-later
"""
Large bodies in both directions, compared by SHA-256 while keep-alive clients run, and what the proxy holds of them: bounded
memory for slow readers, true backpressure towards fast senders. 64 MiB, or 1 GiB with FAIRLEAD_LARGE=1.
"""

import hashlib
import os
import socket
import threading
import time

from client import RawClient
from harness import LARGE, Skip, expect_status, is_sanitized, scaled
from wire import Ended, wait_for

SIZE = (1 << 30) if LARGE else (64 << 20)
BLOCK = os.urandom(1 << 20)
CROWD = 200


def block(index):
    """Another megabyte for each index, cheaply."""
    head = b"%020d" % index
    return head + BLOCK[len(head):]


def digest_of(size):
    digest = hashlib.sha256()
    for index in range(size >> 20):
        digest.update(block(index))
    return digest.hexdigest()


def send_body(send, size, chunked_coding):
    for index in range(size >> 20):
        data = block(index)
        if not send(b"%x\r\n%s\r\n" % (len(data), data) if chunked_coding else data):
            return
    if chunked_coding:
        send(b"0\r\n\r\n")


def framing_line(size, chunked_coding):
    return b"Transfer-Encoding: chunked\r\n" if chunked_coding else b"Content-Length: %d\r\n" % size


def big_script(conn, request):
    """GET /length or /chunked sends SIZE bytes; PUT answers with the digest of what came; anything else is small."""
    if request.method == "PUT":
        digest = hashlib.sha256()
        for run in conn.read_body(request):
            digest.update(run)
        conn.respond(body=digest.hexdigest().encode())
    elif request.target in ("/length", "/chunked"):
        coded = request.target == "/chunked"
        conn.send(b"HTTP/1.1 200 OK\r\n" + framing_line(SIZE, coded) + b"\r\n")
        send_body(conn.send, SIZE, coded)
    else:
        conn.respond(body=b"small")


class Crowd:
    """Keep-alive clients that ask for something small, one after the other, from one thread."""

    def __init__(self, address, count=CROWD):
        self.clients = [RawClient(address, timeout=scaled(15)) for _ in range(count)]
        self.stopping, self.served, self.error = False, 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping:
                for client in self.clients:
                    client.send(b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n")
                for client in self.clients:
                    response = client.response()
                    assert response.status == 200 and response.body == b"small", response
                    self.served += 1
                time.sleep(0.2)  # the crowd is there to mix with the body, not to take the processor from it
        except (AssertionError, Ended, OSError) as error:
            self.error = error

    def finish(self):
        self.stopping = True
        self.thread.join(scaled(15))
        for client in self.clients:
            client.close()
        assert self.error is None, f"a keep-alive client failed: {self.error!r}"
        assert self.served >= len(self.clients), f"{self.served} small requests were served"


def big_proxy(t, **more):
    return t.proxy(t.origin(big_script, read_body=False), client_max_body_size=0, worker_connections=1000, **more)


def download(t, target, proxy):
    client = t.client(proxy, timeout=scaled(15))
    client.send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
    response = client.head()
    digest, size = hashlib.sha256(), 0
    for run in client.body(response):
        digest.update(run)
        size += len(run)
    assert response.complete and size == SIZE, (response.end, size)
    return digest.hexdigest()


def upload(t, coded, proxy):
    client = t.client(proxy, timeout=scaled(15))
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\n" + framing_line(SIZE, coded) + b"\r\n")
    send_body(client.send, SIZE, coded)
    return expect_status(client.response("PUT"), 200).body.decode()


def with_crowd(t, transfer, argument):
    proxy = big_proxy(t, workers=2)
    crowd = Crowd(proxy.address)
    result = transfer(t, argument, proxy)
    crowd.finish()
    assert result == digest_of(SIZE), "the bytes differ"


def test_download_with_length(t):
    """Must show of issue 2: same SHA-256, Content-Length, 200 keep-alive clients meanwhile."""
    with_crowd(t, download, "/length")


def test_download_chunked(t):
    """The same, chunked."""
    with_crowd(t, download, "/chunked")


def test_upload_with_length(t):
    """The same, upwards."""
    with_crowd(t, upload, False)


def test_upload_chunked(t):
    """The same, upwards and chunked."""
    with_crowd(t, upload, True)


def test_both_directions_at_once(t):
    """An origin that answers while it reads: an echo of several megabytes deadlocks nowhere."""
    size = 8 << 20

    def echo(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\n" + framing_line(size, False) + b"\r\n")
        for run in conn.read_body(request):
            conn.send(run)
    client = t.client(t.proxy(t.origin(echo, read_body=False), client_max_body_size=0))
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\n" + framing_line(size, False) + b"\r\n")
    sender = threading.Thread(target=send_body, args=(client.send, size, False), daemon=True)
    sender.start()
    try:
        response = client.response("PUT")
    finally:
        sender.join(scaled(5))
    # An early answer (58) may stop the upload; then the cut must be visible.
    assert response.end in ("eof", "reset") or hashlib.sha256(response.body).hexdigest() == digest_of(size), response.end


# -- backpressure ---------------------------------------------------------------------------------------------------


class Pusher:
    """An origin script that sends without end and counts what the proxy took."""

    def __init__(self):
        self.sent = 0

    def __call__(self, conn, _request):
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while conn.send(BLOCK[:16384]):
            self.sent += 16384


def settle(count, seconds=12.0):
    """Waits until a counter stands still for half a second; returns it."""
    deadline = time.monotonic() + scaled(seconds)
    last, since = -1, time.monotonic()
    while time.monotonic() < deadline:
        if count() != last:
            last, since = count(), time.monotonic()
        elif time.monotonic() - since > scaled(0.5):
            return last
        time.sleep(0.05)
    raise AssertionError(f"the sender was never stopped: {count()} bytes were taken")


def test_slow_reader_stops_the_origin(t):
    """DESIGN 4, requirement 62: a client that reads nothing stops the origin after kernel and proxy buffers are full."""
    pusher = Pusher()
    proxy = t.proxy(t.origin(pusher), engine={"pin": False, "socket_send_buffer": "64k"})
    client = t.client(proxy, receive_buffer=16384)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    taken = settle(lambda: pusher.sent)
    assert taken < 12 << 20, f"{taken} bytes taken for a client that reads nothing"
    client.stream.fill()
    for _ in client.stream.exactly(4 << 20):
        pass
    wait_for(lambda: pusher.sent > taken, scaled(5), "the flow to go on when the client reads again")


def test_slow_origin_stops_the_client(t):
    """DESIGN 4: an origin that reads nothing stops the upload; the flow goes on when it reads."""
    reading = threading.Event()

    def script(conn, request):
        reading.wait(scaled(12))
        for _ in conn.read_body(request):
            pass
        conn.respond(body=b"done")
    size = 64 << 20
    proxy = t.proxy(t.origin(script, read_body=False, receive_buffer=16384), client_max_body_size=0)
    client = t.client(proxy, timeout=scaled(10))
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    sent = [0]

    def push():
        for _ in range(size >> 14):
            if not client.send(BLOCK[:16384]):
                return
            sent[0] += 16384
    sender = threading.Thread(target=push, daemon=True)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    sender.start()
    taken = settle(lambda: sent[0])
    reading.set()
    # The kernel's own buffers (tcp_rmem, tcp_wmem) may hold tens of megabytes of it.
    assert taken < 48 << 20, f"{taken} bytes taken for an origin that reads nothing"
    assert client.response("PUT").body == b"done"
    sender.join(scaled(5))


def test_slow_client_is_not_the_servers_fault(t):
    """16, 62: while the client does not take, the server's silence is ours, and proxy_read_timeout does not count."""
    size = 24 << 20
    body = b"z" * size
    proxy = t.proxy(t.origin(lambda conn, _: conn.respond(body=body)), proxy_read_timeout=f"{round(scaled(1500))}ms",
                    send_timeout="60s")
    clients = [t.client(proxy, receive_buffer=16384, timeout=scaled(10)) for _ in range(4)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(scaled(4))
    for client in clients:
        response = client.response()
        assert response.complete and len(response.body) == size, (response.end, len(response.body))


def test_slow_server_is_not_the_clients_fault(t):
    """62: while the server does not take, the client cannot send, and client_body_timeout does not count."""
    def script(conn, request):
        time.sleep(scaled(4))
        for _ in conn.read_body(request):
            pass
        conn.respond(body=b"done")
    size = 16 << 20
    origin = t.origin(script, read_body=False, receive_buffer=16384)
    proxy = t.proxy(origin, client_max_body_size=0, client_body_timeout=f"{round(scaled(1500))}ms",
                    proxy_send_timeout="60s")
    client = t.client(proxy, timeout=scaled(10))
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    client.send(b"z" * size)
    assert client.response("PUT").body == b"done"


def test_slow_readers_hold_little_memory(t):
    """Figure of issue 2: a slow reader of a large answer holds less than 512 KiB in the proxy."""
    if is_sanitized():
        raise Skip("memory figures mean nothing under a sanitizer")
    pusher = Pusher()
    proxy = t.proxy(t.origin(pusher), engine={"pin": False, "socket_send_buffer": "128k"})
    expect = 12
    with t.client(proxy) as warm:
        warm.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        warm.stream.fill()
    time.sleep(0.3)
    before = proxy.rss_kib()
    clients = [t.client(proxy, receive_buffer=8192) for _ in range(expect)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    settle(lambda: pusher.sent)
    grown = proxy.rss_kib() - before
    assert grown < expect * 512, f"{grown} KiB for {expect} slow readers"


def test_idle_connections_hold_little_memory(t):
    """Figure of issue 2: at most 1.5 KiB of process memory per idle keep-alive connection (with slack for the first pages)."""
    if is_sanitized():
        raise Skip("memory figures mean nothing under a sanitizer")
    count = 2000
    proxy = t.proxy(t.origin(), worker_connections=count + 100)
    for _ in range(50):
        with RawClient(proxy.address) as client:
            expect_status(client.get("/"), 200)
    before = proxy.rss_kib()
    for _ in range(count):
        expect_status(t.client(proxy).get("/"), 200)
    grown = proxy.rss_kib() - before
    assert grown < count * 1.5 + 1024, f"{grown} KiB for {count} idle connections"


def test_trickling_origin(t):
    """Bodies are forwarded as they come: what the origin has sent is at the client before the rest exists."""
    more = threading.Event()

    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        more.wait(scaled(8))
        conn.send(b"6\r\nsecond\r\n0\r\n\r\n")
    client = t.client(t.proxy(t.origin(script)))
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    response = client.head()
    runs = client.body(response)
    assert next(runs) == b"first"
    more.set()
    assert b"".join(runs) == b"second" and response.complete


def test_trickling_upload(t):
    """The same upwards: the origin has the beginning before the client sends the rest."""
    seen = threading.Event()

    def script(conn, request):
        runs = conn.read_body(request)
        if next(runs).startswith(b"first"):
            seen.set()
        conn.respond(body=b"".join(runs))
    client = t.client(t.proxy(t.origin(script, read_body=False)))
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
    assert seen.wait(scaled(5)), "the first chunk is held back"
    client.send(b"6\r\nsecond\r\n0\r\n\r\n")
    assert client.response("PUT").body == b"second"
