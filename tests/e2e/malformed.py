# SPDX-License-Identifier: GPL-3.0-or-later
"""
The malformed-input suite (requirements 27 to 60, and "What attackers send"). Every case of cases_heads.py and cases_bodies.py is
sent whole, cut at several points, and some byte by byte, each time with a follow-up request right behind it. The oracle is an
origin that records every raw byte: of what was rejected nothing may reach it (or, when only a body turned out bad, nothing
complete), of what was accepted exactly one normalised request, then the follow-up.
"""

import random
import re

from cases_bodies import CASES as BODY_CASES
from cases_heads import CASES as HEAD_CASES
from harness import Context
from wire import Ended, wait_for

AFTER = b"GET /after HTTP/1.1\r\nHost: after\r\nConnection: close\r\n\r\n"
MAY_GO_ON = (404, 405, 417, 501)  # well-framed requests that are refused for what they ask


class Fixture(Context):
    """One proxy and one origin for a batch of cases."""

    def __init__(self):
        super().__init__("malformed")
        self.sink = self.server = None
        self.barriers = 0

    def open(self):
        """Starts them; apart from the constructor, so that what was started can be ended when it fails."""
        self.sink = self.origin()
        self.server = self.proxy(self.sink, keepalive_timeout="5s", lingering_timeout="300ms", client_header_timeout="3s",
                                 client_body_timeout="3s")

    def barrier(self):
        """A good request of its own: what the proxy sent before is at the origin when this one is."""
        self.barriers += 1
        target = f"/barrier-{self.barriers}"
        with self.client(self.server) as client:
            response = client.get(target, "Connection: close")
            assert response.status == 200, f"a good request after the case: {response}"
        wait_for(lambda: any(r.target == target for r in self.sink.log), 2, "the barrier at the origin")

    def exchange(self, data, points, method="GET"):
        """Sends the bytes; returns (responses, how it ended)."""
        with self.client(self.server) as client:
            client.send_pieces(data, points, 0.0015)
            responses = []
            try:
                responses.append(client.response(method))
            except Ended as end:
                assert not end.partial.strip(), f"bytes that are no response: {end.partial[:200]!r}"
                return [], end.how
            more, how = client.all_responses()
            return responses + more, how


def cuts(data, kind):
    """Where to cut: nowhere, at some places that depend only on the data, or everywhere."""
    if kind == "whole":
        return []
    if kind == "bytes":
        return range(1, len(data))
    numbers = random.Random(data)
    return sorted(numbers.sample(range(1, len(data)), min(4, len(data) - 1)))


def judge_rejected(case, responses, how, seen, origin_bytes):
    """Exactly one error answer (or none), an end, and nothing at the origin."""
    assert len(responses) <= 1 or responses[0].status in MAY_GO_ON, f"went on after the error: {responses}"
    assert how in ("eof", "reset"), f"the connection stays open after the error ({how}): {responses}"
    allowed = ["/after"] if responses and responses[0].status in MAY_GO_ON else []
    if case.partial:
        complete = [r for r in seen if r.complete and r.target not in allowed]
        assert not complete, f"complete at the origin: {complete}"
        assert len(seen) <= 1, f"more than the beginning of one request at the origin: {seen}"
        return
    assert [r.target for r in seen] in ([], allowed), f"reached the origin: {seen}"
    assert seen or not origin_bytes, f"raw bytes reached the origin: {origin_bytes}"


def judge_accepted(case, responses, how, seen):
    """Exactly one normalised request, then the follow-up unless the connection ends."""
    first = seen[0] if seen else None
    assert first and first.complete and first.body == case.body, f"at the origin: {seen}, expected body {case.body[:80]!r}"
    if case.check:
        case.check(first)
    rest = [r.target for r in seen[1:]]
    assert rest == ["/after"] or (case.closes and rest == []), f"after it at the origin: {rest}"
    assert len(responses) == len(seen) and how == "eof", f"answers {responses}, end {how}"


def run_case(case, kind, fixture):
    """One case, cut in one way."""
    log = len(fixture.sink.log)
    raw = fixture.sink.raw_size()
    data = case.raw + AFTER
    responses, how = fixture.exchange(data, cuts(case.raw, kind), case.method)
    origin_bytes = fixture.sink.raw_size() - raw
    status = responses[0].status if responses else None
    assert status in case.statuses or (status is None and min(case.statuses) >= 400 and how != "timeout"), \
        f"{kind}: status {status}, expected {case.statuses}, end {how}"
    fixture.barrier()
    seen = [r for r in fixture.sink.log[log:] if not r.target.startswith("/barrier")]
    try:
        if status is not None and status < 300:
            judge_accepted(case, responses, how, seen)
        else:
            judge_rejected(case, responses, how, seen, origin_bytes)
        assert not fixture.sink.violations, f"the origin could not read what came: {fixture.sink.violations[0]}"
    except AssertionError as error:
        raise AssertionError(f"{kind}: {error}; sent {case.raw[:160]!r}") from error


def request_case(case, fixture, every):
    """All the ways of cutting one case; byte by byte only for every few of the short ones."""
    for kind in ("whole", "some") + (("bytes",) if every and len(case.raw) < 400 else ()):
        run_case(case, kind, fixture)


def generated():
    """(name, function, batch) for each case, for the runner."""
    for number, case in enumerate(HEAD_CASES + BODY_CASES):
        def test(fixture, case=case, every=number % 4 == 0):
            request_case(case, fixture, every)
        test.fixture = Fixture
        yield "request_" + case.name, test, "requests"


# -- what a single case cannot show ---------------------------------------------------------------------------------


def test_every_split_of_a_good_pipeline(t):
    """38: a pipeline of three requests, cut at every byte in turn, gives the same three answers."""
    origin = t.origin()
    proxy = t.proxy(origin)
    data = (b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: 1\r\n\r\n"
            b"PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    client = t.client(proxy)
    for point in range(1, len(data)):
        client.send_pieces(data, [point], 0.001)
        bodies = [client.response().body for _ in range(3)]
        assert bodies == [b"origin POST /1\n", b"origin PUT /2\n", b"origin GET /3\n"], (point, bodies)
    assert {r.body for r in origin.requests()} == {b"hello", b"abc", b""}


def test_random_bytes(t):
    """28: noise is answered with 400 or closed; nothing of it goes upstream, and the proxy lives."""
    origin = t.origin()
    proxy = t.proxy(origin, lingering_timeout="100ms", client_header_timeout="1s")
    numbers = random.Random(7)
    for size in [1, 3, 16, 100, 1000, 5000, 20000] * 4:
        client = t.client(proxy)
        client.send(numbers.randbytes(size) + b"\r\n\r\n")
        responses, how = client.all_responses()
        assert all(r.status >= 400 for r in responses) and how != "timeout", (size, responses, how)
        client.close()
    assert origin.raw_size() == 0


def test_mutated_requests(t):
    """27-48: good requests with a few bytes changed: the origin only ever sees well-formed ones, never /smuggled."""
    origin = t.origin()
    proxy = t.proxy(origin, lingering_timeout="100ms", client_header_timeout="300ms", client_body_timeout="300ms",
                    keepalive_timeout="300ms")
    numbers = random.Random(11)
    inner = b"GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"
    base = (b"POST /m HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner),
            b"POST /m HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(inner), inner))
    name = re.compile(rb"[CT][a-z]+-[A-Z][a-z]+:")  # a changed letter in a name makes another, harmless field
    for _ in range(250):
        good = numbers.choice(base)
        data, head, framing = bytearray(good), good.find(b"\r\n\r\n") + 8, name.search(good)
        for _ in range(numbers.randint(1, 2)):
            at = numbers.randrange(17, head)
            inside = framing.start() <= at < framing.end()
            data[at] = numbers.choice(b"\0\t\n\r \x7f\x80\"" if inside else b"\0\t\n\r ,:;159aAfg+-_\x7f\x80\xff\"")
        with t.client(proxy) as client:
            client.send(bytes(data))
            client.finish()
            client.all_responses()
        t.clients.clear()
        wrong = [r for r in origin.requests() if r.target == "/smuggled"]
        assert not wrong, f"smuggled by {bytes(data)!r}: {wrong}"
        assert not origin.violations, (bytes(data), origin.violations)


def test_client_half_close(t):
    """55, 9112 9.6: a client that shuts its sending side after a whole request is answered all the same."""
    client = t.client(t.proxy(t.origin()))
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.finish()
    responses, how = client.all_responses()
    assert [r.status for r in responses] == [200] and how == "eof", (responses, how)


def test_half_request_then_end(t):
    """50: a head or body cut by the client's end: nothing complete upstream, 400 or a close."""
    origin = t.origin()
    proxy = t.proxy(origin)
    for data in (b"GET", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
                 b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"):
        client = t.client(proxy)
        client.send(data)
        client.finish()
        responses, how = client.all_responses()
        assert all(r.status in (400, 408) for r in responses) and how != "timeout", (data, responses, how)
    assert not any(r.complete for r in origin.requests()), origin.requests()
    wait_for(lambda: not origin.open_connections(), 5, "the upstream connections of cut requests to end")
