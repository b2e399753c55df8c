# SPDX-License-Identifier: GPL-3.0-or-later
"""
The rare events made common (DESIGN.md 5.8): the same smoke of heads and bodies under each engine knob, bytes one at a time, and a
reset at every state of the exchange on either side. What passes in ordinary weather must pass here, byte for byte.
"""

import hashlib
import random
import socket
import threading
import time

from client import RawClient
from harness import expect_status, scaled
from wire import Ended, chunked, wait_for

KNOBS = {
    "small_rings": {"cq_entries": 64, "sq_entries": 8}, "few_buffers": {"recv_buffers": 4, "recv_buffers_max": 8},
    "tiny_buffers": {"recv_buffer_size": "512b"}, "few_tiny_buffers": {"recv_buffers": 4, "recv_buffers_max": 8, "recv_buffer_size": "512b"},
    "small_sends": {"socket_send_buffer": "4k"}, "no_multishot_accept": {"multishot_accept": False}, "no_multishot_recv": {"multishot_recv": False},
    "few_bulk_buffers": {"bulk_buffers": 2, "bulk_buffer_size": "16k"},
    "all": {"cq_entries": 64, "sq_entries": 8, "recv_buffers": 4, "recv_buffers_max": 8, "recv_buffer_size": "512b", "socket_send_buffer": "4k",
            "multishot_accept": False, "multishot_recv": False, "bulk_buffers": 2, "bulk_buffer_size": "16k"},
    "all_multishot": {"cq_entries": 64, "sq_entries": 8, "recv_buffers": 4, "recv_buffers_max": 8, "recv_buffer_size": "512b", "socket_send_buffer": "4k"},
}
BODY = bytes(range(256)) * 3000


def script(conn, request):
    """/echo gives the body back chunked; /big sends BODY; anything else names itself."""
    if request.target == "/echo":
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(request.body, 1000))
    elif request.target == "/big":
        conn.respond(body=BODY)
    else:
        conn.respond(body=request.target.encode())


def same(response, wanted, what):
    """The body is right, or the first difference is told."""
    if response.complete and response.body == wanted:
        return
    got = response.body
    at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
    raise AssertionError(f"{what}: status {response.status}, {response.end}, {len(got)} of {len(wanted)} bytes, first "
                         f"difference at {at}: {got[at:at + 16]!r} for {wanted[at:at + 16]!r}")


def smoke(client, rounds=3):
    """Small, large, both codings, pipelined, on one connection."""
    for number in range(rounds):
        same(client.get(f"/{number}", "X-Long: " + "v" * 3000), b"/%d" % number, "small answer to a long head")
        same(client.get("/big"), BODY, "large answer")
        same(client.get("/echo", method="POST", body=BODY[:100000]), BODY[:100000], "echo of a body with length")
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(BODY[:50000], 777))
        same(client.response("POST"), BODY[:50000], "echo of a chunked body")
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(10)))
        for i in range(10):
            same(client.response(), b"/%d" % i, f"pipelined answer {i}")


def crowd_smoke(address, count, rounds):
    """`count` clients at once; returns what went wrong."""
    errors = []

    def one():
        try:
            with RawClient(address, timeout=scaled(12)) as client:
                smoke(client, rounds)
        except (AssertionError, Ended, OSError) as error:
            errors.append(repr(error)[:300])
    threads = [threading.Thread(target=one, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(18))
        assert not thread.is_alive(), "a client hangs"
    return errors


def generated():
    """One test per knob and number of workers."""
    for name, knobs in KNOBS.items():
        for workers in (1, 2):
            def test(t, knobs=knobs, workers=workers):
                proxy = t.proxy(t.origin(script), engine=knobs, workers=workers)
                errors = crowd_smoke(proxy.address, 12, 1)
                assert not errors, errors[:3]
            yield f"smoke_{name}_{workers}", test, f"smoke_{name}_{workers}"
    for name in ("small_rings", "few_tiny_buffers", "all"):
        def storm(t, knobs=KNOBS[name]):
            accept_storm(t, knobs)
        yield f"accept_storm_{name}", storm, f"storm_{name}"


def accept_storm(t, knobs):
    """Many connections at once, all served: a full completion queue and a lost multishot accept are normal."""
    proxy = t.proxy(t.origin(script), engine=knobs, worker_connections=1000)
    clients = [t.client(proxy, timeout=scaled(10)) for _ in range(300)]
    for client in clients:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    for client in clients:
        assert client.response().body == b"/x"


def test_byte_by_byte(t):
    """38: requests sent, and answers read, one byte at a time."""
    def slow_script(conn, request):
        reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(request.body, 3, [b"X: 1"])
        for code in reply:
            if not conn.send(b"%c" % code):
                return
            time.sleep(0.0005)
    proxy = t.proxy(t.origin(slow_script))
    client = t.client(proxy)
    for data in (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello world", 4, [b"Y: 2"]),
                 b"PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world"):
        client.send_pieces(data, range(1, len(data)), 0.0007)
        assert client.response("POST").body == b"hello world"


def test_deep_pipeline_with_slow_reader(t):
    """56, 62: a thousand pipelined requests whose answers are read late: all there, in order, memory bounded by backpressure."""
    client = t.client(t.proxy(t.origin(script), keepalive_requests=100000), timeout=scaled(10), receive_buffer=8192)
    data = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(1000))
    sender = threading.Thread(target=client.send, args=(data,), daemon=True)
    sender.start()
    time.sleep(0.5)
    for i in range(1000):
        assert client.response().body == b"/%d" % i
    sender.join(scaled(5))


# -- resets at every state ------------------------------------------------------------------------------------------

POST = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"


def still_good(t, proxy, count=3):
    for _ in range(count):
        with t.client(proxy) as client:
            assert client.get("/fine").body == b"/fine"


def test_client_resets_at_every_byte_sent(t):
    """59, 62: RST after every possible beginning of a request; afterwards all is well and nothing is left open."""
    origin = t.origin(script)
    proxy = t.proxy(origin)
    before = proxy.descriptors()
    for end in range(0, len(POST) + 1, 2):
        with t.client(proxy) as client:
            client.send(POST[:end])
            if end % 4:
                time.sleep(0.002)
            client.reset()
    still_good(t, proxy)
    wait_for(lambda: proxy.descriptors() <= before + 8, scaled(5), "descriptors of reset connections to be closed")


def test_no_reset_behind_half_a_head_is_lost(t):
    """62: Linux loses a reset that comes just after a multishot receive took the bytes before it; a few in a thousand when many come at once.
    Each of these connections would otherwise stay open until client_header_timeout."""
    proxy = t.proxy(t.origin(script))
    still_good(t, proxy)  # it may listen before it has all that it needs
    before = proxy.descriptors()

    def push(seed):
        choice = random.Random(seed)
        for _ in range(2000):
            try:
                with socket.create_connection(proxy.address) as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    end = choice.randrange(2, len(POST) - 8)
                    sock.send(POST[:end // 2])
                    sock.send(POST[end // 2:end])
            except OSError:
                pass
    threads = [threading.Thread(target=push, args=(seed,), daemon=True) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(15))
    # lingering_timeout is 5 s: one that had been answered with an error may take as long.
    wait_for(lambda: proxy.descriptors() <= before, scaled(10), f"descriptors of reset connections, {proxy.descriptors()} of {before}, to be closed")
    still_good(t, proxy)


def test_client_resets_while_it_reads(t):
    """59: RST after some of the answer was read, at several places; upstream connections do not pile up."""
    origin = t.origin(script)
    proxy = t.proxy(origin, engine={"socket_send_buffer": "4k"})
    before = proxy.descriptors()
    for size in (1, 20, 100, 5000, 100000, 500000) * 3:
        with t.client(proxy, receive_buffer=4096) as client:
            client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
            for _ in client.stream.exactly(size):
                pass
            client.reset()
    still_good(t, proxy)
    wait_for(lambda: proxy.descriptors() <= before + 8, scaled(5), "descriptors of reset connections to be closed")


def test_origin_resets_at_every_byte_sent(t):
    """50, 59: RST or FIN after every possible beginning of a response: 502 before its head, a visible cut after it."""
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    state = {"end": 0, "ending": "reset"}

    def torn(conn, request):
        if request.target == "/fine":
            conn.respond(body=b"/fine")
            return
        conn.send(reply[:state["end"]])
        time.sleep(0.002)
        getattr(conn, state["ending"])()
    proxy = t.proxy(t.origin(torn))
    for ending in ("reset", "close"):
        state["ending"] = ending
        for end in range(0, len(reply)):
            state["end"] = end
            with t.client(proxy) as client:
                try:
                    response = client.get("/torn", method="POST")
                except Ended as cut:
                    assert cut.how == "reset", (ending, reply[:end], cut)  # a reset may take the head with it
                    continue
                assert response.status == 502 or response.end in ("eof", "reset"), (ending, reply[:end], response)
    still_good(t, proxy)


def test_origin_resets_at_every_byte_received(t):
    """59: RST of the origin while a request comes in: 502, the client connection goes on or is closed, never hangs."""
    state = {"size": 1}

    def raw(conn):
        for _ in conn.stream.exactly(state["size"]):
            pass
        conn.reset()
    proxy = t.proxy(t.origin(raw_handler=raw))
    for size in (1, 10, 50, 100, 1000, 20000, 100000):
        state["size"] = size
        with t.client(proxy) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200000)
            try:
                expect_status(client.response(), 502)
            except Ended as end:
                assert end.how != "timeout", f"no answer after {size} bytes"


def test_both_sides_reset_at_once(t):
    """59: the two ends of an exchange go at the same moment, many times; nothing is left, nothing is freed twice."""
    def gone(conn, request):
        if request.target == "/fine":
            conn.respond(body=b"/fine")
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000)
            conn.reset()
    origin = t.origin(gone)
    proxy = t.proxy(origin, engine=KNOBS["all"])
    before = proxy.descriptors()
    for number in range(150):
        client = RawClient(proxy.address, timeout=scaled(5))
        client.send(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.0003 * (number % 10))
        client.reset()
    still_good(t, proxy)
    wait_for(lambda: proxy.descriptors() <= before + 8, scaled(5), "descriptors to be closed")


def test_leaving_a_queue_for_buffers_takes_nobody_along(t):
    """50, 62: of many downloads that wait for buffers half are reset; the other half still come whole."""
    size = 600000

    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    proxy = t.proxy(t.origin(script), engine={"recv_buffers": 4, "recv_buffers_max": 8, "recv_buffer_size": "512b",
                                              "bulk_buffers": 2, "bulk_buffer_size": "4k"})
    for _ in range(4):
        clients = [t.client(proxy, receive_buffer=32768) for _ in range(24)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.02)
        for client in clients[::2]:
            client.reset()
        for client in clients[1::2]:
            response = client.response()
            assert response.complete and len(response.body) == size, (response.end, len(response.body))
            client.close()


def test_connect_and_leave(t):
    """62: thousands of clients that connect and go, with FIN or RST, before any byte."""
    proxy = t.proxy(t.origin(script))
    for number in range(1500):
        client = RawClient(proxy.address, timeout=scaled(5))
        client.reset() if number % 2 else client.close()
    still_good(t, proxy)


def test_two_workers_serve_alike(t):
    """DESIGN 3: sixty connections over two workers: every one is served, digests agree."""
    proxy = t.proxy(t.origin(script), workers=2)
    wanted = hashlib.sha256(BODY).digest()
    for _ in range(60):
        with t.client(proxy) as client:
            assert hashlib.sha256(expect_status(client.get("/big"), 200).body).digest() == wanted
