# SPDX-License-Identifier: GPL-3.0-or-later
"""
Bodies on their way through: framing on both sides, trailers, interim responses, Expect, early answers, limits and the
statuses they give. Numbers in docstrings are requirements of HTTP.md.
"""

import time

from harness import expect_status, same_fields, scaled
from origin import refuse_early
from wire import Ended, chunked, wait_for

CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def echo(conn, request):
    conn.respond(body=request.body)


def test_chunked_request_arrives_whole(t):
    """45, 47: any chunk sizes; extensions are ignored and not relayed; never a length beside the coding."""
    origin = t.origin(echo)
    client = t.client(t.proxy(origin))
    data = bytes(range(256)) * 40
    for size in (1, 7, 1000, 10240):
        piece = data[:400] if size == 1 else data
        assert client.request(CHUNKED_POST + chunked(piece, size)).body == piece
    body = b"5;a;b=c;d=\"e;\\\"f\"\r\nhello\r\n0;last=1\r\n\r\n"
    assert client.request(CHUNKED_POST + body).body == b"hello"
    assert all("content-length" not in r.names() or r.framing != "chunked" for r in origin.requests())


def test_chunked_response_arrives_whole(t):
    """45, 47, 52: de- and re-chunked at will, extensions dropped, next request on the same connections."""
    data = bytes(range(256)) * 300

    def script(conn, request):
        size = int(request.target[1:])
        body = chunked(data, size).replace(b"\r\n", b";x=y\r\n", 1)
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    origin = t.origin(script)
    client = t.client(t.proxy(origin))
    for size in (3, 100, 4096, 70000):
        response = client.get(f"/{size}")
        assert response.complete and response.body == data, (size, response.end, len(response.body))
    assert len(origin.connections) == 1


def test_close_delimited_response(t):
    """50, 54: the end of a close-delimited answer is passed on as an end, not as a cut."""
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 100000)
        conn.close()
    response = t.client(t.proxy(t.origin(script))).get("/")
    assert response.body == b"y" * 100000 and response.complete, response


def test_empty_bodies(t):
    """52: zero-length, empty chunked and empty close-delimited answers."""
    scripts = {"/length": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
               "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "/close": b"HTTP/1.1 200 OK\r\n\r\n"}

    def script(conn, request):
        conn.send(scripts[request.target])
        if request.target == "/close":
            conn.close()
    proxy = t.proxy(t.origin(script))
    for target in scripts:
        response = t.client(proxy).get(target)
        assert response.body == b"" and response.complete, (target, response)


def test_bodies_at_buffer_edges(t):
    """38: lengths around powers of two, both directions."""
    origin = t.origin(echo)
    client = t.client(t.proxy(origin, client_max_body_size="4m"))
    for power in (9, 10, 12, 13, 14, 15, 16, 17, 18, 20):
        for size in ((1 << power) - 1, 1 << power, (1 << power) + 1):
            body = (b"%08d" % size) * (size // 8 + 1)
            assert client.get("/", method="PUT", body=body[:size]).body == body[:size], size


def test_request_trailers_are_dropped_or_kept_apart(t):
    """49: never merged into the head; framing, routing and auth names never pass."""
    origin = t.origin(echo)
    client = t.client(t.proxy(origin))
    trailers = [b"X-Sum: 1", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Host: evil", b"Authorization: evil",
                b"Connection: close", b"Content-Encoding: evil"]
    assert client.request(CHUNKED_POST + chunked(b"hello", trailers=trailers)).body == b"hello"
    expect_status(client.get("/next"), 200)
    request = origin.requests()[0]
    assert request.get("Host") == "a" and "x-sum" not in request.names() and not request.all("authorization"), request
    assert [name.lower() for name, _ in request.trailers] in ([], ["x-sum"]), request.trailers


def test_response_trailers_are_dropped_or_kept_apart(t):
    """49: the same for responses; what passes is only sent to a client that asked with TE: trailers or ignored by all."""
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                  + chunked(b"hello", trailers=[b"X-Sum: 1", b"Content-Length: 9", b"Set-Cookie: evil=1", b"Transfer-Encoding: x"]))
    client = t.client(t.proxy(t.origin(script)))
    for fields in (("TE: trailers", "Connection: TE"), ()):
        response = client.get("/", *fields)
        assert response.body == b"hello" and response.get("X-Sum") is None, response
        names = [name.lower() for name, _ in response.trailers]
        assert "content-length" not in names and "transfer-encoding" not in names, response.trailers


def test_trailers_named_by_connection_are_dropped(t):
    """1: what Connection names goes no further as a trailer either, in both directions."""
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nConnection: x-secret\r\nTransfer-Encoding: chunked\r\n\r\n"
                  + chunked(b"hello", trailers=[b"X-Secret: 1"]))
    origin = t.origin(script)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, ,x-hop\r\nTransfer-Encoding: chunked\r\n\r\n"
    response = t.client(t.proxy(origin)).request(head + chunked(b"a", trailers=[b"X-Hop: 1"]))
    assert response.body == b"hello" and not response.trailers, response
    assert not origin.requests()[0].trailers, origin.requests()[0].trailers


def test_te_is_of_one_hop(t):
    """4: TE goes upstream only as "trailers", with Connection: TE, and only if trailers are relayed."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    expect_status(client.get("/", "TE: trailers, gzip;q=0.5", "Connection: TE"), 200)
    request = origin.requests()[0]
    assert request.all("TE") in ([], ["trailers"]), request
    assert not request.all("TE") or "te" in request.get("Connection", "").lower(), request


# -- interim responses and Expect -----------------------------------------------------------------------------------


def test_interim_responses_pass(t):
    """18: several 103 and a 102, in order, before the final answer; none of their fields in it."""
    def script(conn, _):
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        time.sleep(0.05)
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n")
        conn.respond(body=b"final")
    client = t.client(t.proxy(t.origin(script)))
    for _ in range(2):
        response = client.get("/")
        assert [(i.status, i.get("Link")) for i in response.interim] == [(103, "</a>"), (102, None), (103, "</b>")], response.interim
        assert response.body == b"final" and not response.all("Link"), response


def test_interim_responses_do_not_reach_http_1_0(t):
    """18: a client of HTTP/1.0 sees only the final answer."""
    def script(conn, _):
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        conn.respond(body=b"final")
    response = t.client(t.proxy(t.origin(script))).request(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    assert response.interim == [] and response.body == b"final", response


def test_early_hints_come_before_the_answer(t):
    """18: a 103 is not held back until the final answer."""
    def script(conn, _):
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        time.sleep(scaled(0.6))
        conn.respond(body=b"final")
    client = t.client(t.proxy(t.origin(script)))
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    begun = time.monotonic()
    client.stream.fill()
    assert time.monotonic() - begun < scaled(0.4) and b" 103 " in client.stream.buffer
    expect_status(client.response(), 200)


def expect_request(length=5):
    return b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length


def test_expect_100_continue(t):
    """19: a 100 comes before the body is sent; the body then arrives once."""
    origin = t.origin(echo_after_continue, read_body=False)
    client = t.client(t.proxy(origin))
    for _ in range(2):
        client.send(expect_request())
        client.stream.fill()
        assert client.stream.buffer.startswith(b"HTTP/1.1 100"), client.stream.buffer
        client.send(b"hello")
        assert client.response("POST").body == b"hello"


def echo_after_continue(conn, request):
    if request.all("Expect"):
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    conn.respond(body=b"".join(conn.read_body(request)))


def test_expect_without_waiting(t):
    """19: a client that sends its body at once is served all the same."""
    client = t.client(t.proxy(t.origin(echo_after_continue, read_body=False)))
    for _ in range(3):
        assert client.request(expect_request() + b"hello").body == b"hello"


def test_expect_refused_by_the_origin(t):
    """19, 58: an early final status is relayed; the unsent body is never taken for a request."""
    origin = t.origin(refuse_early(403, b"no"), read_body=False)
    client = t.client(t.proxy(origin))
    client.send(expect_request(length=40))
    expect_status(client.response("POST"), 403)
    client.send(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    try:
        client.response()
        raise AssertionError("an answer to bytes that were announced as a body")
    except Ended:
        pass
    time.sleep(0.05)
    assert all(r.target != "/smuggled" for r in origin.requests()), origin.requests()


def test_expect_is_ignored_in_http_1_0(t):
    """19: no 100 to HTTP/1.0."""
    client = t.client(t.proxy(t.origin(echo_after_continue, read_body=False)))
    response = client.request(b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
    assert response.interim == [] and response.body == b"hello", response


def test_expect_too_large_is_refused_before_the_body(t):
    """19, 16: 413 instead of 100."""
    origin = t.origin(echo)
    response = t.client(t.proxy(origin, client_max_body_size="1k")).request(expect_request(2000))
    assert response.status == 413 and response.interim == [] and not origin.requests(), response


def test_expect_waits_for_the_origin(t):
    """19: a client that waits for 100 does not time out; an origin that sends neither 100 nor an answer does."""
    def script(conn, request):
        time.sleep(scaled(1.2))
        if request.target == "/slow":
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            conn.respond(body=b"".join(conn.read_body(request)))
        else:
            conn.wait_end(20)
    origin = t.origin(script, read_body=False)
    head = b"POST /%s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    client = t.client(t.proxy(origin, client_body_timeout="500ms"))
    client.send(head % b"slow")
    time.sleep(scaled(1.3))
    assert client.request(b"hello", "POST").body == b"hello"
    client = t.client(t.proxy(origin, proxy_read_timeout="500ms", client_body_timeout="30s"))
    expect_status(client.request(head % b"never"), 504)


# -- early answers --------------------------------------------------------------------------------------------------


def test_early_response_during_upload(t):
    """58: relayed at once; the upload stops; that upstream connection is not reused."""
    def script(conn, request):
        if request.method == "POST":
            conn.respond(409, b"stop")
            conn.wait_end()
        else:
            conn.respond(body=b"ok")
    origin = t.origin(script, read_body=False)
    proxy = t.proxy(origin, client_max_body_size="10m")
    client = t.client(proxy)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 1000)
    response = client.response("POST")
    assert response.status == 409 and response.body == b"stop", response
    assert t.client(proxy).get("/").body == b"ok"
    assert len(origin.connections) == 2, "the upstream connection of a stopped upload was reused"


def test_early_response_is_seen_while_the_client_still_sends(t):
    """55, 58: bounded lingering: a client that goes on sending for a moment still reads the answer, not a reset."""
    def script(conn, _):
        conn.respond(403, b"denied")
        conn.wait_end()
    proxy = t.proxy(t.origin(script, read_body=False), client_max_body_size="10m")
    client = t.client(proxy)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
    for _ in range(20):
        if not client.send(b"x" * 10000):
            break
        time.sleep(0.01)
    response = client.response("POST")
    assert response.status == 403 and response.body == b"denied", response


def test_early_answer_is_not_cut_by_the_upload(t):
    """55, 58: whether the client stops sending, ends its direction, or sends nonsense: the answer is relayed whole."""
    def script(conn, request):
        conn.send(b"HTTP/1.1 %s\r\nContent-Length: 10\r\n\r\n01234" % request.target[1:].encode())
        time.sleep(scaled(1.2))
        conn.send(b"56789")
        conn.wait_end()
        conn.stream.buffer.clear()
    proxy = t.proxy(t.origin(script, read_body=False), client_body_timeout="400ms")
    answers = []
    for status, rest in ((200, None), (403, None), (403, b""), (403, b"no chunk")):
        client = t.client(proxy)
        client.send(b"POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" % status)
        answers.append((client, client.head("POST"), rest))
        if rest:
            client.send(rest)
        elif rest is not None:
            client.finish()
    for client, response, rest in answers:
        body = b"".join(client.body(response))
        assert body == b"0123456789" and response.complete, (response.status, rest, body, response.end)


def test_own_answer_before_the_body_says_close(t):
    """19, 55, 57: an answer that leaves the body unread announces the end of the connection; one that has it all does not."""
    proxy = t.proxy(locations=[{"path": "/", "respond": {"status": 200, "body": "hi"}}])
    client = t.client(proxy)
    response = client.request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
    assert response.status == 200 and response.get("Connection") == "close", response
    client = t.client(proxy)
    for _ in range(2):
        response = client.request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy")
        assert response.status == 200 and response.get("Connection") is None, response


def test_body_after_an_early_answer_is_not_a_request(t):
    """55: the rest of the body is drained or the connection closed, never parsed as a request."""
    origin = t.origin(refuse_early(200, b"early"), read_body=False)
    client = t.client(t.proxy(origin))
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (len(smuggled) * 2) + smuggled)
    expect_status(client.response("POST"), 200)
    client.send(smuggled)
    client.finish()
    responses, _ = client.all_responses()
    assert responses == [], f"answers to body bytes: {responses}"
    assert all(r.target != "/smuggled" for r in origin.requests()), origin.requests()


# -- limits ---------------------------------------------------------------------------------------------------------


def test_413_by_length(t):
    """16: announced too large: 413 and nothing goes upstream; the limit itself passes."""
    origin = t.origin(echo)
    proxy = t.proxy(origin, client_max_body_size="1k")
    assert len(t.client(proxy).get("/", method="POST", body=b"x" * 1024).body) == 1024
    seen = origin.raw_size()
    client = t.client(proxy)
    expect_status(client.get("/", method="POST", body=b"x" * 1025), 413)
    assert client.ending() in ("eof", "reset") and origin.raw_size() == seen


def test_413_by_growth(t):
    """16, 31: a chunked body that grows over the limit: 413 or a close, and the origin never sees it complete."""
    origin = t.origin(echo)
    client = t.client(t.proxy(origin, client_max_body_size="1k"))
    client.send(CHUNKED_POST)
    for _ in range(20):
        client.send(b"64\r\n" + b"x" * 100 + b"\r\n")
        time.sleep(0.001)
    client.send(b"0\r\n\r\n")
    expect_status(client.response("POST"), 413)
    assert not any(r.complete for r in origin.requests()), origin.requests()


def test_zero_means_no_limit(t):
    """DESIGN 7: client_max_body_size 0 lets any size pass."""
    client = t.client(t.proxy(t.origin(echo), client_max_body_size=0))
    assert len(client.get("/", method="POST", body=b"x" * 3000000).body) == 3000000


def limit_proxy(t, **limits):
    origin = t.origin()
    return origin, t.proxy(origin, **limits)


def test_414(t):
    """31: a target longer than client_uri_size; also before its line is whole."""
    origin, proxy = limit_proxy(t, client_uri_size="1k")
    expect_status(t.client(proxy).get("/" + "a" * 1000), 200)
    expect_status(t.client(proxy).get("/" + "a" * 1100), 414)
    client = t.client(proxy)
    client.send(b"GET /" + b"a" * 3000)
    expect_status(client.response(), 414)
    assert len(origin.requests()) == 1


def test_431_by_field_head_and_count(t):
    """31: one field, the whole head, and the number of fields; endless heads are answered before they end."""
    origin, proxy = limit_proxy(t, client_field_size="1k", client_header_size="4k", client_header_count=20)
    expect_status(t.client(proxy).get("/", *[f"X-{i}: 1" for i in range(15)]), 200)
    expect_status(t.client(proxy).get("/", "X: " + "v" * 1100), 431)
    expect_status(t.client(proxy).get("/", *[f"X-{i}: 1" for i in range(25)]), 431)
    expect_status(t.client(proxy).get("/", *[f"X-{i}: " + "v" * 600 for i in range(8)]), 431)
    for endless in (b"X: " + b"v" * 1500, b"X: 1\r\n" * 30, (b"X: " + b"v" * 600 + b"\r\n") * 8):
        client = t.client(proxy)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + endless)
        expect_status(client.response(), 431)
    assert len(origin.requests()) == 1


def test_long_method(t):
    """31: 501 or 400, never a wait for more."""
    origin, proxy = limit_proxy(t)
    client = t.client(proxy)
    client.send(b"A" * 20000)
    expect_status(client.response(), 400, 501, 431, 414)
    assert not origin.requests()


def test_417(t):
    """19: an expectation that nobody knows."""
    origin, proxy = limit_proxy(t)
    for value in ("Expect: 200-ok", "Expect: 100-continue, x", "Expect: x=100-continue"):
        expect_status(t.client(proxy).get("/", value), 417)
    assert not origin.requests()


def test_lingering_close_lets_the_error_be_read(t):
    """55: 400 and 413 are readable although the client goes on sending megabytes, and the lingering is bounded."""
    origin, proxy = limit_proxy(t, client_max_body_size="1k", lingering_timeout="1s", lingering_size="64k")
    client = t.client(proxy)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 30000)
    time.sleep(0.1)
    client.send(b"x" * 10000)
    expect_status(client.response("POST"), 413)
    begun = time.monotonic()
    wait_for(lambda: not client.send(b"x" * 65536), scaled(6), "the lingering close to end")
    assert time.monotonic() - begun < scaled(5) and not origin.requests()


def test_error_pages_close_or_keep_framing(t):
    """55, 56: after a 404 of our own for a request with a body the next request is answered, or the connection closed."""
    origin = t.origin()
    client = t.client(t.proxy(locations=[{"path": "/known", "proxy_pass": origin.url}]))
    client.send(b"POST /unknown HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\nGET /known/smuggled HTTP/1.1\r\nHost: \r"
                b"GET /known/2 HTTP/1.1\r\nHost: a\r\n\r\n")
    first = expect_status(client.response("POST"), 404)
    assert int(first.get("Content-Length")) == len(first.body), first
    responses, _ = (client.finish(), client.all_responses())[1]
    assert [r.status for r in responses] in ([], [200], [400]), responses
    assert all(r.target == "/known/2" for r in origin.requests()), origin.requests()


def test_content_length_is_forwarded_as_such(t):
    """45: a body with a length keeps it; nothing is re-chunked without need."""
    origin = t.origin(echo)
    expect_status(t.client(t.proxy(origin)).get("/", method="POST", body=b"hello"), 200)
    same_fields(origin.requests()[0], {"Content-Length": "5", "Transfer-Encoding": None})
