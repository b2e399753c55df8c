# SPDX-License-Identifier: GPL-3.0-or-later
"""
The malformed-input suite from the other side (requirements 22, 35, 41, 43, 50 to 52, 60): a raw origin sends each reply of
cases_responses.py whole, cut at some points, and some byte by byte. The client must get 502, a visible truncation, or the good
answer; the next request must get its own answer and nothing that is left of the bad one.
"""

import threading
import time

from cases_responses import CASES
from harness import Context
from malformed import cuts
from wire import REQUEST_LINE, Ended, read_head

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Good: 1\r\n\r\ngood"


class Fixture(Context):
    """One proxy before an origin that answers /case with `reply`, cut at `points`, and everything else well."""

    def __init__(self):
        super().__init__("responses")
        self.reply, self.points, self.sent = None, [], threading.Event()
        self.sink = self.server = None

    def open(self):
        """Starts them; apart from the constructor, so that what was started can be ended when it fails."""
        self.sink = self.origin(raw_handler=self.script)
        self.server = self.proxy(self.sink, proxy_read_timeout="2s")

    def script(self, conn):
        while True:
            head = read_head(conn.stream, REQUEST_LINE)
            if head.start[1] != b"/case":
                conn.send(GOOD)
                continue
            reply = self.reply
            edges = [0, *self.points, len(reply.raw)]
            for start, end in zip(edges, edges[1:]):
                if not conn.send(reply.raw[start:end]):
                    break
                time.sleep(0.0015)
            self.sent.set()
            if reply.ends:
                return

    def good(self, client):
        response = client.get("/good")
        assert response.status == 200 and response.body == b"good" and response.get("X-Good") == "1", f"the next answer: {response}"


def judge(reply, kind, response):
    """What the client got against what is right; an incomplete body counts as "cut"."""
    outcome = response.status if response.complete else "cut"
    assert outcome in reply.outcomes, f"{kind}: outcome {outcome}, expected {reply.outcomes}: {response}"
    if outcome == "cut" or response.status == 502:
        assert response.end != "timeout", f"{kind}: no end of the truncated answer in sight: {response}"
        assert b"leaked" not in response.body, response
        return
    assert reply.body is None or response.body == reply.body, f"{kind}: body {response.body[:100]!r}"


def run_case(reply, kind, fixture):
    fixture.sent.clear()
    fixture.reply, fixture.points = reply, cuts(reply.raw, kind) if len(reply.raw) > 1 else []
    with fixture.client(fixture.server) as client:
        try:
            response = client.get("/case", method=reply.method)
        except Ended as end:
            if end.how == "reset" and "cut" in reply.outcomes:  # a reset may take the head with it
                return
            raise AssertionError(f"{kind}: no answer, {end}; the origin sent {reply.raw[:120]!r}") from end
        judge(reply, kind, response)
        fixture.sent.wait(2)  # bytes that come after the next request was sent could not be told from its answer
        time.sleep(0.01)
        persistent = response.complete and response.framing != "close" and "close" not in response.all("Connection")
        if persistent:
            fixture.good(client)
        else:
            how = client.ending() if response.complete else response.end
            assert how in ("eof", "reset"), f"{kind}: the client connection ends with {how}"
    with fixture.client(fixture.server) as client:
        fixture.good(client)


def generated():
    """(name, function, batch) for each case, for the runner."""
    for number, reply in enumerate(CASES):
        def test(fixture, reply=reply, every=number % 3 == 0):
            for kind in ("whole", "some") + (("bytes",) if every and len(reply.raw) < 300 else ()):
                run_case(reply, kind, fixture)
        test.fixture = Fixture
        yield reply.name, test, "responses"


def test_unsolicited_bytes_on_an_idle_connection(t):
    """51: a response that nobody asked for never answers the next request."""
    def script(conn):
        read_head(conn.stream, REQUEST_LINE)
        conn.send(GOOD)
        if conn.number == 0:
            time.sleep(0.1)
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nleaked")
        while True:
            read_head(conn.stream, REQUEST_LINE)
            conn.send(GOOD)
    client = t.client(t.proxy(t.origin(raw_handler=script)))
    assert client.get("/").body == b"good"
    time.sleep(0.3)
    for _ in range(3):
        assert client.get("/").body == b"good"


def test_answer_before_the_request(t):
    """51: an origin that speaks first is answered with 502, or its words are dropped."""
    def script(conn):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nleaked")
        read_head(conn.stream, REQUEST_LINE)
        conn.wait_end()
    response = t.client(t.proxy(t.origin(raw_handler=script), proxy_read_timeout="1s")).get("/")
    assert response.status in (200, 502, 504), response


def test_endless_interim_responses(t):
    """18, 62: a flood of 103 is passed on or cut, and ends with the timeout or the origin at the latest."""
    def script(conn):
        read_head(conn.stream, REQUEST_LINE)
        for _ in range(3000):
            if not conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"):
                return
    response = t.client(t.proxy(t.origin(raw_handler=script))).get("/")
    assert response.status == 502, response
