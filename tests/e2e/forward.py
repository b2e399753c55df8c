# SPDX-License-Identifier: GPL-3.0-or-later
"""
Heads on their way through: normalisation of requests and responses, methods, persistence of both hops, pipelining.
Numbers in docstrings are requirements of HTTP.md.
"""

import re
import time

from client import RawClient
from harness import expect_status, same_fields, scaled, wait_gone
from wire import Ended, wait_for

VIA = "1.1 fairlead"


def one(t, *fields, target="/", method="GET", body=b"", **top):
    """One request through a fresh proxy; returns (what the origin got, the response)."""
    origin = t.origin()
    response = t.client(t.proxy(origin, **top)).get(target, *fields, method=method, body=body)
    expect_status(response, 200)
    return origin.requests()[0], response


def test_long_forwarded_for_is_kept_whole(t):
    """17: a long chain of proxies loses no hop."""
    chain = ", ".join(["192.0.2.1"] * 600)
    request, _ = one(t, f"X-Forwarded-For: {chain}")
    same_fields(request, {"X-Forwarded-For": f"{chain}, 127.0.0.1"})


def test_rules_that_add_much(t):
    """DESIGN 7: a rule may add as much as the client sent; where it is too much there is an answer all the same."""
    text = "v" * 7000
    request, response = one(t, f"X-Much: {text}", site={"set_headers": {"X-Copy": "$http_x_much"},
                                                        "set_response_headers": {"X-Back": "$http_x_much"}})
    same_fields(request, {"X-Copy": text})
    assert ("X-Back", text) in response.fields, response.fields[:3]
    origin = t.origin()
    twelve = {f"X-{i}": "$http_x_much" for i in range(12)}
    for rules in ("set_headers", "set_response_headers"):
        client = t.client(t.proxy(origin, site={rules: twelve}))
        assert client.get("/", f"X-Much: {text}").status in (500, 502), rules


def test_proxy_headers_are_set(t):
    """8, DESIGN 7: Host as sent, X-Real-IP, X-Forwarded-For, X-Forwarded-Proto, Via."""
    request, _ = one(t, "Host: Example.TEST:8080")
    same_fields(request, {"Host": "Example.TEST:8080", "X-Real-IP": "127.0.0.1", "X-Forwarded-For": "127.0.0.1",
                          "X-Forwarded-Proto": "http", "Via": VIA})


def test_forwarded_for_is_appended_and_the_rest_overwritten(t):
    """17: a client's own X-Forwarded-For stays in front; X-Real-IP and -Proto are not believed."""
    request, _ = one(t, "X-Forwarded-For: 1.2.3.4, 5.6.7.8", "X-Real-IP: 6.6.6.6", "X-Forwarded-Proto: https")
    same_fields(request, {"X-Forwarded-For": "1.2.3.4, 5.6.7.8, 127.0.0.1", "X-Real-IP": "127.0.0.1",
                          "X-Forwarded-Proto": "http"})


def test_two_forwarded_for_lines_are_kept_in_order(t):
    """17, 5: several X-Forwarded-For lines lose nothing and keep their order."""
    request, _ = one(t, "X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2")
    assert ", ".join(request.all("X-Forwarded-For")) == "1.1.1.1, 2.2.2.2, 127.0.0.1", request


def test_via_is_appended(t):
    """8: a Via that came stays before ours."""
    request, _ = one(t, "Via: 1.0 fred, 1.1 p.example.net")
    assert ", ".join(request.all("Via")) == "1.0 fred, 1.1 p.example.net, " + VIA, request


def test_via_names_the_received_version(t):
    """8: a request in HTTP/1.0 is forwarded with Via: 1.0."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    expect_status(client.request(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"), 200)
    same_fields(origin.requests()[0], {"Via": "1.0 fairlead"})


def test_hop_by_hop_fields_are_removed(t):
    """2, 12, 20: never forwarded, named in Connection or not."""
    request, _ = one(t, "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: gzip", "Upgrade: websocket",
                     "Proxy-Authorization: Basic Zm9vOmJhcg==", "X-Kept: 1")
    same_fields(request, {"Keep-Alive": None, "Proxy-Connection": None, "Upgrade": None,
                          "Proxy-Authorization": None, "X-Kept": "1"})
    assert "gzip" not in ",".join(request.all("TE")), request


def test_fields_named_in_connection_are_removed(t):
    """1: every line of every Connection field counts, in any case; empty members are ignored (7)."""
    request, _ = one(t, "Connection: X-One, ,x-TWO", "Connection: ,x-three,", "X-One: 1", "X-Two: 2", "X-Three: 3",
                     "X-Four: 4", "X-one: again")
    same_fields(request, {"X-One": None, "X-Two": None, "X-Three": None, "X-Four": "4"})


def test_connection_cannot_remove_what_frames_or_routes(t):
    """3: naming our own fields, Host, Content-Length or Cookie in Connection does no harm to framing and routing."""
    request, _ = one(t, "Connection: x-forwarded-for, content-length, host, x-real-ip, via, x-forwarded-proto",
                     "X-Forwarded-For: 9.9.9.9", method="POST", body=b"hello")
    assert request.body == b"hello" and request.get("Host") == "example.test", request
    assert request.get("X-Forwarded-For").endswith("127.0.0.1") and request.get("X-Real-IP") == "127.0.0.1", request
    assert request.get("Via") == VIA and request.get("X-Forwarded-Proto") == "http", request


def test_426_passes(t):
    """24: an origin that insists on WebSocket says so to the client; what it asks for is relayed as it came."""
    origin = t.origin(lambda conn, _: conn.respond(426, b"ws only", ("Sec-WebSocket-Version: 13", "Upgrade: websocket"),
                                                   reason="Upgrade Required"))
    response = t.client(t.proxy(origin)).get("/", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    expect_status(response, 426)
    assert ("Sec-WebSocket-Version", "13") in response.fields, response.fields
    same_fields(origin.requests()[0], {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})


def test_underscores_dropped_when_allowed(t):
    """37: with reject_underscores = false a name with '_' does not make the request invalid, and does not pass."""
    request, _ = one(t, "Content_Length: 5", "X_Forwarded_For: 192.0.2.9", "X-Good: 1", reject_underscores=False)
    same_fields(request, {"Content_Length": None, "X_Forwarded_For": None, "X-Good": "1", "X-Forwarded-For": "127.0.0.1"})


def test_upgrade_is_answered_as_a_normal_request(t):
    """20, 21: no 101; Upgrade, and Upgrade in Connection, stay here; bytes behind it are the next request."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"/ws" in expect_status(client.response(), 200).body
    assert b"/next" in expect_status(client.response(), 200).body
    same_fields(origin.requests()[0], {"Upgrade": None, "Sec-WebSocket-Version": "13"})


def test_unknown_fields_keep_their_order_and_bytes(t):
    """5: same-name lines in order, values byte for byte, obs-text included."""
    request, _ = one(t, "X-A: 1", "X-B: \xe9\xff", "X-A: 2", "X-a: 3", "X-Long: " + "v" * 2000, "X-Empty:")
    same_fields(request, {"X-A": ["1", "2", "3"], "X-B": "\xe9\xff", "X-Long": "v" * 2000, "X-Empty": ""})


def test_cookie_authorization_and_conditionals_pass(t):
    """12, 13: end-to-end fields are nobody's business here."""
    fields = {"Cookie": "a=b; c=d", "Authorization": "Bearer x", "If-None-Match": '"e"', "Range": "bytes=0-9",
              "If-Range": '"e"', "Cache-Control": "no-transform", "Accept-Encoding": "gzip", "Sec-WebSocket-Key": "k"}
    request, _ = one(t, *[f"{name}: {value}" for name, value in fields.items()])
    same_fields(request, fields)


def test_path_and_query_pass_byte_for_byte(t):
    """11: no decoding, no dot removal, no slash merging in what is forwarded."""
    for target in ("/a/../b//c/./%41%2f%3a?x=%20y&&z=/../", "/?", "/%E2%82%AC", "/a;b=c,d'!$&()*+:@~-._?q?/=", "//x//"):
        request, _ = one(t, target=target)
        assert request.target == target, (target, request)


def test_max_forwards(t):
    """9: OPTIONS with 0 is answered here, n becomes n-1, GET is left alone, none is invented."""
    origin = t.origin()
    proxy = t.proxy(origin)
    client = t.client(proxy)
    expect_status(client.get("/", "Max-Forwards: 0", method="OPTIONS"), 200, 204)
    assert not origin.requests(), "OPTIONS with Max-Forwards 0 was forwarded"
    expect_status(client.get("/", "Max-Forwards: 5", method="OPTIONS"), 200)
    expect_status(client.get("/", "Max-Forwards: 0"), 200)
    expect_status(client.get("/", method="OPTIONS"), 200)
    assert [r.get("Max-Forwards") for r in origin.requests()] == ["4", "0", None], origin.requests()


def test_trace_reflects_no_credentials(t):
    """9: TRACE is refused, or answered here without Authorization and Cookie."""
    origin = t.origin()
    proxy = t.proxy(origin)
    for fields in (("Max-Forwards: 0",), ()):
        response = t.client(proxy).get("/", *fields, "Authorization: Basic c2VjcmV0", "Cookie: s=secret", method="TRACE")
        assert b"secret" not in response.body and b"c2VjcmV0" not in response.body, response
        expect_status(response, 200, 405, 501)
    if response.status == 405:
        assert response.get("Allow") is not None, f"a 405 names what is allowed: {response}"


def test_connect_is_refused(t):
    """23: CONNECT is off."""
    origin = t.origin()
    proxy = t.proxy(origin)
    for raw in (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n"):
        expect_status(t.client(proxy).request(raw), 405, 501)
    assert not origin.connections


def test_methods_pass(t):
    """5.1 of DESIGN: any method token goes through, bodies framed or not (53)."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "M-SEARCH", "get", "X!#$%&'*+-.^_`|~"):
        for body in (b"", b"body"):
            response = expect_status(client.get("/m", method=method, body=body), 200)
            request = origin.requests()[-1]
            assert request.method == method and request.body == body, request
            assert response.body.split()[1].decode() == method, response
    assert len(origin.connections) == 1, "a body on GET or DELETE lost its framing (53)"


def test_post_without_body_keeps_length_zero(t):
    """53: a POST with Content-Length: 0 is forwarded as such."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    expect_status(client.request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), 200)
    same_fields(origin.requests()[0], {"Content-Length": "0", "Transfer-Encoding": None})


def test_options_asterisk_and_absolute_form(t):
    """33, 34: OPTIONS * and absolute OPTIONS without a path are *; the authority replaces Host."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    for raw in (b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", b"OPTIONS http://a.test HTTP/1.1\r\nHost: b\r\n\r\n"):
        expect_status(client.request(raw), 200, 204)
    for request in origin.requests():
        assert request.target == "*" and request.get("Host") == "a.test", request
    expect_status(client.request(b"GET http://c.test:81/p?q HTTP/1.1\r\nHost: evil\r\n\r\n"), 200)
    expect_status(client.request(b"GET http://d.test HTTP/1.1\r\nHost: evil\r\n\r\n"), 200)
    expect_status(client.request(b"GET HTTP://d.test?q HTTP/1.1\r\nHost: evil\r\n\r\n"), 200)
    got = [(r.target, r.get("Host")) for r in origin.requests()[-3:]]
    assert got == [("/p?q", "c.test:81"), ("/", "d.test"), ("/?q", "d.test")], got


# -- responses ------------------------------------------------------------------------------------------------------


def answered(t, *fields, status=200, reason="OK", body=b"x", request_fields=()):
    origin = t.origin(lambda conn, _: conn.respond(status, body, fields, reason))
    return t.client(t.proxy(origin)).get("/", *request_fields)


def test_response_fields_pass_in_order(t):
    """5: Set-Cookie lines are never joined; order and bytes stay."""
    cookies = ["a=1; Path=/", "b=2, c", "c=3"]
    response = answered(t, *[f"Set-Cookie: {c}" for c in cookies], "ETag: W/\"x\"", "X-Bytes: \xe9", "Vary: a", "Vary: b")
    assert response.all("Set-Cookie") == cookies and response.all("Vary") == ["a", "b"], response
    assert response.get("ETag") == 'W/"x"' and response.get("X-Bytes") == "\xe9", response


def test_response_hop_by_hop_is_removed(t):
    """1, 2: also what the origin's Connection names; Proxy-Authenticate and WWW-Authenticate per 12."""
    response = answered(t, "Connection: keep-alive, X-Private", "X-Private: 1", "Keep-Alive: timeout=5",
                        "Proxy-Connection: x", "Upgrade: h2c", "X-Public: 1", "WWW-Authenticate: Basic realm=\"r\"")
    names = [name.lower() for name, _ in response.fields]
    for name in ("x-private", "keep-alive", "proxy-connection", "upgrade"):
        assert name not in names, response
    assert response.get("X-Public") == "1" and response.get("WWW-Authenticate"), response


def test_date_is_added_only_when_absent(t):
    """14: our Date in IMF-fixdate, or the origin's untouched."""
    date = answered(t).get("Date") or ""
    assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date), date
    assert abs(time.mktime(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone - time.time()) < 5, date
    assert answered(t, "Date: Sun, 06 Nov 1994 08:49:37 GMT").all("Date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]


def test_statuses_and_reasons_pass(t):
    """16: what the origin says is passed on, unknown codes and empty reasons too."""
    for status, reason in ((200, "Fine"), (206, "Partial Content"), (299, "Odd"), (301, "Moved"), (404, "Not Found"),
                           (418, "Teapot"), (500, "Broken"), (502, "Theirs"), (599, "Odder"), (200, "")):
        response = answered(t, status=status, reason=reason)
        assert response.status == status and response.body == b"x", response


def test_head_keeps_the_length_and_has_no_body(t):
    """52: HEAD keeps the GET's Content-Length, sends no body, and the connection goes on."""
    def script(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + (b"" if request.method == "HEAD" else b"x" * 1000))
    origin = t.origin(script)
    client = t.client(t.proxy(origin))
    for _ in range(3):
        response = client.get("/", method="HEAD")
        assert response.get("Content-Length") == "1000", response
        assert len(client.get("/").body) == 1000
    assert len(origin.connections) == 1, "HEAD broke the reuse of the upstream connection"


def test_head_of_a_chunked_resource(t):
    """52: Transfer-Encoding in an answer to HEAD has no body behind it."""
    origin = t.origin(lambda conn, _: conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
    client = t.client(t.proxy(origin))
    for _ in range(3):
        expect_status(client.get("/", method="HEAD"), 200)


def test_no_content_and_not_modified(t):
    """52: 204 and 304 end at their head whatever the fields say; no framing in 204."""
    for head, status in ((b"204 No Content\r\n", 204), (b"204 No Content\r\nContent-Length: 0\r\n", 204),
                         (b"304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n", 304), (b"304 Not Modified\r\n", 304)):
        origin = t.origin(lambda conn, _, head=head: conn.send(b"HTTP/1.1 " + head + b"\r\n"))
        client = t.client(t.proxy(origin))
        for _ in range(2):
            expect_status(client.get("/"), status)


# -- persistence ----------------------------------------------------------------------------------------------------


def test_upstream_connections_are_reused(t):
    """DESIGN 4: a hundred requests of ten clients, one after the other, need one upstream connection."""
    origin = t.origin()
    proxy = t.proxy(origin)
    for _ in range(10):
        with RawClient(proxy.address) as client:
            for _ in range(10):
                expect_status(client.get("/"), 200)
    assert len(origin.connections) == 1, f"{len(origin.connections)} connections for 100 requests"


def test_parallel_clients_get_connections_of_their_own(t):
    """56, 51: answers never cross, whoever finishes first."""
    def script(conn, request):
        time.sleep(0.02 * (7 - int(request.target[1:])))
        conn.respond(body=request.target.encode())
    proxy = t.proxy(t.origin(script))
    clients = [t.client(proxy) for _ in range(8)]
    for number, client in enumerate(clients):
        client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % min(number, 7))
    for number, client in enumerate(clients):
        assert client.response().body == b"/%d" % number


def test_client_close_is_honoured(t):
    """57: after Connection: close the answer says close, the connection ends, what follows is not processed."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    responses, how = client.all_responses()
    assert len(responses) == 1 and responses[0].status == 200, responses
    assert "close" in responses[0].all("Connection"), responses[0]
    assert how in ("eof", "reset") and len(origin.requests()) == 1, (how, origin.requests())


def test_client_close_does_not_close_the_upstream(t):
    """1, 57: Connection is of one hop."""
    origin = t.origin()
    proxy = t.proxy(origin)
    for _ in range(3):
        expect_status(t.client(proxy).get("/", "Connection: close"), 200)
    assert len(origin.connections) == 1, f"{len(origin.connections)} upstream connections"


def test_origin_close_does_not_close_the_client(t):
    """1, 57: an origin's Connection: close ends only the upstream connection, which is not reused."""
    def script(conn, _):
        conn.respond(fields=["Connection: close"], body=b"bye")
    origin = t.origin(script)
    client = t.client(t.proxy(origin))
    for _ in range(3):
        response = expect_status(client.get("/"), 200)
        assert "close" not in response.all("Connection"), response
    assert len(origin.connections) == 3, f"{len(origin.connections)} upstream connections"


def test_pipelined_requests_are_answered_in_order(t):
    """56: twenty requests in one packet, twenty answers in order."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(20)))
    for i in range(20):
        assert client.response().body.endswith(b"/%d\n" % i)
    expect_status(client.get("/after"), 200)


def test_pipelined_posts_with_bodies(t):
    """56: bodies between pipelined requests stay where they belong."""
    origin = t.origin(lambda conn, request: conn.respond(body=request.body))
    client = t.client(t.proxy(origin))
    parts = []
    for i in range(10):
        body = b"GET /x HTTP/1.1 %d" % i
        parts.append(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body) if i % 2 else
                     b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    client.send(b"".join(parts))
    for i in range(10):
        assert client.response().body == b"GET /x HTTP/1.1 %d" % i


def test_pipelined_error_closes_after_earlier_answers(t):
    """56: two good, one bad: 200, 200, 400, end."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    good = b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n"
    client.send(good * 2 + b"BAD\r\n\r\n" + good)
    responses, _ = client.all_responses()
    assert [r.status for r in responses] == [200, 200, 400], responses
    assert len(origin.requests()) == 2


def test_http_1_0_client(t):
    """54, 18: answered with no chunked coding and closed, also when it asks for keep-alive; no Host is fine (32)."""
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
    proxy = t.proxy(t.origin(script))
    for raw in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"):
        client = t.client(proxy)
        response = client.request(raw)
        assert response.framing != "chunked" and response.body == b"abcdef" and response.complete, response
        assert client.ending() == "eof"


def test_http_1_0_request_gets_a_host(t):
    """32, 29: forwarded as HTTP/1.1, with exactly one Host, although none came."""
    origin = t.origin()
    expect_status(t.client(t.proxy(origin)).request(b"GET / HTTP/1.0\r\n\r\n"), 200)
    assert origin.requests()[0].version == "HTTP/1.1" and len(origin.requests()[0].all("Host")) == 1


def test_http_1_2_is_taken_as_1_1(t):
    """29: a later minor version is answered with our own."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    for _ in range(2):
        assert client.request(b"GET / HTTP/1.2\r\nHost: a\r\n\r\n").version == "HTTP/1.1"
    assert origin.requests()[0].version == "HTTP/1.1"


def test_http_1_0_origin(t):
    """54: close-delimited from a 1.0 origin arrives whole, in an 1.1 answer, and its connection is not reused."""
    def script(conn, _):
        conn.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"z" * 5000)
        conn.close()
    origin = t.origin(script)
    client = t.client(t.proxy(origin))
    for _ in range(2):
        response = client.get("/")
        assert response.version == "HTTP/1.1" and response.body == b"z" * 5000 and response.complete, response
        if response.framing == "close":
            client = t.client(t.children[0])
    assert len(origin.connections) == 2


def test_http_1_0_origin_with_length_is_not_kept_unless_it_says_so(t):
    """54, 57: HTTP/1.0 without keep-alive ends after its answer."""
    def script(conn, _):
        conn.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        conn.wait_end(5)
    origin = t.origin(script)
    client = t.client(t.proxy(origin))
    for _ in range(3):
        assert client.get("/").body == b"ok"
    assert len(origin.connections) == 3
    wait_gone(origin.connections[0])


def test_keepalive_requests(t):
    """DESIGN 7: after keepalive_requests the answer says close, and the connection ends."""
    client = t.client(t.proxy(t.origin(), keepalive_requests=3))
    said = [client.get("/").all("Connection") for _ in range(3)]
    assert "close" in said[2] and "close" not in said[0] + said[1], said
    assert client.ending() == "eof"


def test_upstream_keepalive_requests_and_age(t):
    """7 of issue 2: an upstream connection serves keepalive_requests requests, then another is made."""
    origin = t.origin()
    client = t.client(t.pool([origin], {"keepalive_requests": 2}))
    for _ in range(6):
        expect_status(client.get("/"), 200)
    assert [len(c.requests) for c in origin.connections] == [2, 2, 2], [len(c.requests) for c in origin.connections]


def test_upstream_keepalive_off(t):
    """7 of issue 2: keepalive = 0 keeps no idle connection."""
    origin = t.origin()
    client = t.client(t.pool([origin], {"keepalive": 0}))
    for _ in range(3):
        expect_status(client.get("/"), 200)
    assert len(origin.connections) == 3
    for connection in origin.connections:
        wait_gone(connection)


def test_upstream_keepalive_bound(t):
    """7 of issue 2: at most `keepalive` idle connections stay per server."""
    def script(conn, request):
        time.sleep(scaled(0.2))
        conn.respond(body=b"ok")
    origin = t.origin(script)
    proxy = t.pool([origin], {"keepalive": 2})
    clients = [t.client(proxy) for _ in range(6)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for client in clients:
        expect_status(client.response(), 200)
    wait_for(lambda: len(origin.open_connections()) <= 2, scaled(5), "idle upstream connections above the bound to close")


def test_upstream_keepalive_timeout(t):
    """7 of issue 2: an idle upstream connection ends after keepalive_timeout."""
    origin = t.origin()
    expect_status(t.client(t.pool([origin], {"keepalive_timeout": "300ms"})).get("/"), 200)
    begun = time.monotonic()
    wait_gone(origin.connections[0])
    assert 0.1 < time.monotonic() - begun < scaled(3)


def test_no_forwarding_loop(t):
    """10: a proxy that is its own origin answers with an error in bounded time."""
    config = t.config([])
    address = config["sites"][0]["listen"][0]
    config["sites"][0]["locations"] = [{"path": "/", "proxy_pass": f"http://{address}"}]
    client = t.client(t.start(config))
    try:
        response = client.get("/")
    except Ended as end:
        raise AssertionError(f"no answer to a looping request: {end.how}") from end
    assert 400 <= response.status <= 599, response
