# SPDX-License-Identifier: GPL-3.0-or-later
"""
What happens to a request whose server fails: when it is tried elsewhere, with its body, and when it is not; what failures do to servers; a
slow start; pools whose servers die and come back under load. Which server is chosen is in balancing.py. Numbers in docstrings are
requirements of HTTP.md.
"""

import re
import sys
import time

from client import RawClient
from crowd import (Gate, Mortal, Switch, answer_named, answer_status, ask, flap, in_threads, load, log_lines, reset, send_get, server, tally, trio, wait_log,
                   who)
from failures import dead_address, full_listener
from harness import expect_status, free_port, scaled
from origin import hang
from wire import Ended, chunked, wait_for

ALWAYS = {"max_fails": 0}  # never taken out, so that every request tries it


def pair(t, script, upstream=None, names="ab", **top):
    """A server with the script, tried first by every other request, and a good one; never taken out. (client, bad, good, proxy)"""
    bad, good = t.origin(script, name=names[0]), t.origin(answer_named, name=names[1])
    proxy = t.pool([server(bad, **ALWAYS), server(good, **ALWAYS)], upstream, **top)
    return t.client(proxy), bad, good, proxy


def first_at_bad(client, bad, *arguments, **options):
    """Asks until the bad server was asked; returns the answer to that request."""
    for _ in range(3):
        before = len(bad.requests())
        response = client.get(*arguments, **options)
        if len(bad.requests()) > before:
            return response
    raise AssertionError("the bad server is never asked")


# -- reasons --------------------------------------------------------------------------------------------------------


def test_refused_goes_elsewhere_always(t):
    """15, issue 3, item 6: nothing was sent, so every method may go to the next server, whatever `on` says, beyond any budget."""
    good = t.origin(answer_named, name="g")
    client = t.client(t.pool([server(dead_address(), **ALWAYS), server(good)], {"retry": {"on": [], "budget": 0}}))
    for method in ("GET", "POST", "PATCH", "DELETE") * 3:
        who(client.get("/", method=method, body=b"x" * 1000))
    assert all(request.body == b"x" * 1000 for request in good.requests()) and len(good.requests()) == 12


def test_connect_timeout_goes_elsewhere(t):
    """15, 16: a connect that hangs is one that failed; nobody left: 504."""
    listener, fillers = full_listener()
    slow = "127.0.0.1:%d" % listener.getsockname()[1]
    good = t.origin(answer_named, name="g")
    client = t.client(t.pool([server(slow, **ALWAYS), server(good)], proxy_connect_timeout="300ms"))
    for _ in range(2):
        assert who(client.get("/", method="POST", body=b"x")) == "g"
    alone = t.client(t.pool([server(slow, **ALWAYS), server(good, down=True)], proxy_connect_timeout="300ms"))
    expect_status(alone.get("/"), 504)
    for sock in (listener, *fillers):
        sock.close()


def half_head(conn, request):
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    conn.close()


def test_reset_before_the_answer_goes_elsewhere(t):
    """15, 59, issue 3, item 6: by FIN, RST and in the middle of a head; GET goes on, POST gets 502 and is sent once."""
    for script in (reset, lambda conn, _: conn.close(), half_head):
        client, bad, good, _ = pair(t, script)
        for _ in range(6):
            assert who(client.get("/")) == "b"
        assert bad.requests(), "the bad server was never asked"
        expect_status(first_at_bad(client, bad, "/post", method="POST", body=b"once"), 502)
        posts = [request for request in bad.requests() + good.requests() if request.target == "/post"]
        assert len(posts) <= 2 and len([r for r in good.requests() if r.target == "/post"]) <= 1, posts


def test_non_idempotent_is_tried_again_where_told(t):
    """15, issue 3, item 6: with "non_idempotent" a POST goes elsewhere too, with its body."""
    client, bad, good, _ = pair(t, reset, {"retry": {"on": ["error", "non_idempotent"]}})
    assert who(first_at_bad(client, bad, "/", method="POST", body=b"again")) == "b"
    assert good.requests()[-1].body == b"again"


def test_read_timeout_goes_elsewhere(t):
    """16, issue 3, item 6: a server that does not answer in time; POST gets 504; and without "timeout" GET too."""
    client, bad, _, _ = pair(t, hang, proxy_read_timeout="400ms")
    assert who(first_at_bad(client, bad, "/")) == "b"
    expect_status(first_at_bad(client, bad, "/", method="POST"), 504)
    client, bad, _, _ = pair(t, hang, {"retry": {"on": ["error"]}}, proxy_read_timeout="400ms")
    expect_status(first_at_bad(client, bad, "/"), 504)


def nonsense(conn, _):
    conn.send(b"HTTP/1.1 200 OK\r\nBad Header: 1\r\nContent-Length: 0\r\n\r\n")


def test_invalid_head_goes_elsewhere_where_told(t):
    """15, issue 3, item 6: with "invalid_header" a bad response is a reason, otherwise it is a 502."""
    client, bad, _, _ = pair(t, nonsense, {"retry": {"on": ["invalid_header"]}})
    assert who(first_at_bad(client, bad, "/")) == "b"
    client, bad, _, _ = pair(t, nonsense)
    expect_status(first_at_bad(client, bad, "/"), 502)


def test_listed_status_goes_elsewhere(t):
    """Issue 3, item 6: a status that is listed, and only that, is a reason; POST keeps its answer."""
    client, bad, _, _ = pair(t, answer_status(503), {"retry": {"on": ["http_503"]}})
    assert who(first_at_bad(client, bad, "/")) == "b"
    expect_status(first_at_bad(client, bad, "/", method="POST"), 503)
    client, bad, _, _ = pair(t, answer_status(500), {"retry": {"on": ["http_503"]}})
    expect_status(first_at_bad(client, bad, "/"), 500)


def test_last_answer_is_passed_on_unchanged(t):
    """Issue 3, item 6: when nobody is left, the 503 of the last server is the answer, its fields and its body."""
    origins = [t.origin(answer_status(503), name=name) for name in "abc"]
    client = t.client(t.pool([server(origin, **ALWAYS) for origin in origins], {"retry": {"on": ["http_503"]}}))
    for number in range(6):
        response = expect_status(client.get(f"/{number}"), 503)
        assert response.body == f"the server's own {response.get('X-From')} /{number}".encode() and not response.all("Retry-After")
        assert sum(len(origin.requests()) for origin in origins) == 3 * (number + 1)


def test_never_after_the_head_was_passed_on(t):
    """15, 50, 59: once the client has the head, a reset is a cut; nobody else is asked."""
    def cut(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        time.sleep(0.05)
        conn.reset()
    client, bad, good, proxy = pair(t, cut, {"retry": {"on": ["error", "timeout", "invalid_header", "non_idempotent"]}})
    for _ in range(4):
        response = t.client(proxy).get("/")
        assert who(response) == "b" if response.complete else response.body == b"half", response
    assert len(bad.requests()) == len(good.requests()) == 2


def test_never_after_an_interim_response(t):
    """15, 52: once a 1xx was passed on, nobody else is asked."""
    def hint(conn, _):
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        time.sleep(0.05)
        conn.reset()
    client, bad, good, _ = pair(t, hint)
    statuses = sorted(client.get("/").status for _ in range(6))
    assert statuses == [200] * 3 + [502] * 3 and len(bad.requests()) == len(good.requests()) == 3, statuses


# -- bounds ---------------------------------------------------------------------------------------------------------


def test_attempts_bound_the_servers_tried(t):
    """Issue 3, item 6: retry.attempts counts the first one too."""
    origins = [t.origin(reset, name=name) for name in "abcde"]
    for attempts, expected in ((0, 5), (1, 1), (3, 3)):
        client = t.client(t.pool([server(origin, **ALWAYS) for origin in origins], {"retry": {"attempts": attempts}}))
        before = sum(len(origin.requests()) for origin in origins)
        expect_status(client.get("/"), 502)
        assert sum(len(origin.requests()) for origin in origins) - before == expected


def test_timeout_bounds_the_time_for_tries(t):
    """Issue 3, item 6: after retry.timeout no further server is asked."""
    origins = [t.origin(hang, name=name) for name in "abcd"]
    limits = [f"{int(scaled(seconds) * 1000)}ms" for seconds in (1.4, 0.8)]
    servers = [server(origin, **ALWAYS) for origin in origins]
    client = t.client(t.pool(servers, {"retry": {"timeout": limits[0]}}, proxy_read_timeout=limits[1]))
    expect_status(client.get("/"), 504)
    assert sum(len(origin.requests()) for origin in origins) == 2


def test_budget_keeps_a_storm_small(t):
    """Issue 3, item 6: when all fail, tries stay within a share of the requests and a constant per worker; then GET fails at once."""
    origins = [t.origin(reset, name=name) for name in "abc"]
    for budget, share in ((20, 1.2), (0, 1)):
        before = sum(len(origin.requests()) for origin in origins)
        proxy = t.pool([server(origin, **ALWAYS) for origin in origins], {"retry": {"budget": budget}}, workers=2)

        def storm(_, proxy=proxy):
            with RawClient(proxy.address, timeout=scaled(10)) as client:
                for _ in range(60):
                    expect_status(client.get("/"), 502)
        in_threads(8, storm)
        tries = sum(len(origin.requests()) for origin in origins) - before
        constant = 2 * 50 + 2 if budget else 0
        assert 480 <= tries <= 480 * share + constant, tries


# -- bodies ---------------------------------------------------------------------------------------------------------

BODY = bytes(range(256)) * 256  # 64 KiB, the default of retry.body


def put(body, coded=False, size=None):
    if coded:
        return b"PUT /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, size, [b"X-Sum: 12", b"X-Two: 3"])
    return b"PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def check_body(request, body, coded):
    """All of it arrived at the server that answered."""
    assert request.complete and request.body == body, f"{len(request.body)} of {len(body)} bytes, complete={request.complete}"
    assert request.trailers == ([("X-Sum", "12"), ("X-Two", "3")] if coded else []), request.trailers


def test_body_is_sent_again_to_the_next_server(t):
    """15, 53, issue 3, item 6: both codings, trailers too, byte for byte, when the first server took all of it and died."""
    client, bad, good, _ = pair(t, reset)
    for body, coded, size in ((b"", True, None), (b"x", False, None), (BODY[:50000], False, None), (BODY, False, None), (BODY[:50000], True, 4000),
                              (BODY[:20000], True, 10)):
        for _ in range(2):
            before = len(bad.requests())
            assert who(client.request(put(body, coded, size))) == "b"
            check_body(good.requests()[-1], body, coded)
            if len(bad.requests()) > before:
                check_body(bad.requests()[-1], body, coded)
    assert len(bad.requests()) >= 6


def test_body_is_sent_again_wherever_the_first_server_died(t):
    """53, 59: the server reads so many bytes and resets, while the client still sends; what follows goes to the next one in one piece."""
    cut = {"size": 0}

    def read_some(conn, request):
        taken = 0
        for run in conn.read_body(request):
            taken += len(run)
            if taken >= cut["size"]:
                break
        conn.reset()
    bad = t.origin(read_some, name="a", read_body=False)
    good = t.origin(answer_named, name="b")
    client = t.client(t.pool([server(bad, **ALWAYS), server(good, **ALWAYS)], {"retry": {"body": "256k"}}))
    for size in (1, 100, 4096, 30000, 64000):
        for coded in (False, True):
            cut["size"] = size
            for _ in range(2):
                data = put(BODY, coded, 5000)
                client.send_pieces(data, range(3000, len(data), 9000), 0.001)
                assert who(client.response("PUT")) == "b"
                check_body(good.requests()[-1], BODY, coded)
    assert len(bad.requests()) >= 10


def test_large_body_is_not_sent_again(t):
    """15, issue 3, item 6: what is over retry.body is not kept: 502; the boundary is exact; bodies of POST are kept only where they may go."""
    client, bad, good, _ = pair(t, reset, {"retry": {"body": "1k"}})
    for size, expected in ((1024, [200, 200]), (1025, [200, 502]), (200000, [200, 502])):
        statuses = sorted(client.request(put(BODY[:1] * size)).status for _ in range(2))
        assert statuses == expected, (size, statuses)
    assert all(request.complete for request in good.requests())
    client, bad, good, _ = pair(t, reset, {"retry": {"body": 0}})
    assert sorted(client.request(put(b"x")).status for _ in range(2)) == [200, 502]
    assert sorted(client.get("/").status for _ in range(2)) == [200, 200]


def test_stale_connection_with_a_body(t):
    """15, 59: an idle connection that turns out to be closed costs nothing: PUT goes out once more with its body, also to an only server."""
    def script(conn, request):
        if conn.requests.index(request) > 0:
            conn.reset()
        else:
            answer_named(conn, request)
    origin = t.origin(script, name="a")
    proxy = t.pool([origin])
    client = t.client(proxy)
    for coded in (False, True, False, True):
        for _ in range(2):
            assert who(client.request(put(BODY[:60000], coded, 6000))) == "a"
            check_body(origin.requests()[-1], BODY[:60000], coded)
    assert not log_lines(proxy, "taken out")


def test_early_refusal_with_a_listed_status(t):
    """58, issue 3, item 6: a 503 before the body was read, the client still sending: the next server gets the body from its beginning."""
    def early(conn, request):
        for _ in conn.stream.exactly(2000):
            break
        conn.respond(503, b"early")
        conn.wait_end()
        conn.close()
    bad, good = t.origin(early, name="a", read_body=False), t.origin(answer_named, name="b")
    client = t.client(t.pool([server(bad, **ALWAYS), server(good, **ALWAYS)], {"retry": {"on": ["http_503"]}}))
    for coded in (False, True):
        data = put(BODY[:40000], coded, 3000)
        client.send_pieces(data, range(500, len(data), 4000), 0.01)
        assert who(client.response("PUT")) == "b"
        check_body(good.requests()[-1], BODY[:40000], coded)
    assert bad.requests()


def expecting(client, length):
    client.send(b"PUT /up HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)


def go_on(conn, request):
    """Asks for the body with 100 (Continue), then answers."""
    conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.body = b"".join(conn.read_body(request))
    answer_named(conn, request)


def test_expect_is_tried_again_before_100_only(t):
    """52, 59: a client that waits for 100 (Continue) gets it from the next server; after the 100 there is no next one."""
    def after_100(conn, _):
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.wait_end(0.1)
        conn.reset()
    for script, expected in ((reset, [200, 200]), (answer_status(503), [200, 200]), (after_100, [200, 502])):
        bad = t.origin(script, name="a", read_body=False)
        good = t.origin(go_on, name="b", read_body=False)
        proxy = t.pool([server(bad, **ALWAYS), server(good, **ALWAYS)], {"retry": {"on": ["error", "http_503"]}})
        statuses = []
        for _ in range(2):
            client = t.client(proxy)
            expecting(client, 10)
            interim = client.stream.line()
            assert interim == b"HTTP/1.1 100 Continue" and client.stream.line() == b"", interim
            client.send(b"0123456789")
            statuses.append(client.response("PUT").status)
        assert sorted(statuses) == expected and bad.requests(), statuses
        assert all(request.body == b"0123456789" for request in good.requests())


# -- the passive check ----------------------------------------------------------------------------------------------


def for_ms(proxy):
    return [int(re.search(r"for_ms=(\d+)", line)[1]) for line in log_lines(proxy, "server is taken out")]


def test_max_fails_within_fail_timeout(t):
    """Issue 3, item 4: so many failures within the window, no fewer, take a server out; older ones do not count."""
    bad, good = t.origin(reset, name="a"), t.origin(answer_named, name="b")
    proxy = t.pool([server(bad, max_fails=3, fail_timeout="2s"), server(good)])
    client = t.client(proxy)

    def fail(times):
        wanted = len(bad.requests()) + times
        while len(bad.requests()) < wanted:
            ask(client, 1)
    fail(2)
    time.sleep(2.05)
    fail(2)
    assert not for_ms(proxy), "two failures within the window were enough"
    fail(1)
    wait_log(proxy, "server is taken out")
    assert tally(ask(client, 10)) == {"b": 10} and len(bad.requests()) == 5


def test_time_out_grows(t):
    """Issue 3, item 4: a server that fails again right after it is back stays out twice as long, up to passive.max_time; each change is logged."""
    script = Switch(reset)
    bad, good = t.origin(script, name="a"), t.origin(answer_named, name="b")
    proxy = t.pool([server(bad, fail_timeout="200ms"), server(good)], {"passive": {"max_time": "500ms"}})
    client = t.client(proxy)
    for turn in range(4):
        script.now = reset
        wait_for(lambda turn=turn: ask(client, 1) and len(for_ms(proxy)) > turn, scaled(5), "the server to be taken out")
        script.now = answer_named
        wait_for(lambda turn=turn: ask(client, 1) and len(log_lines(proxy, "server is back")) > turn, scaled(5), "the server to be back")
    if for_ms(proxy) != [200, 400, 500, 500]:  # a busy machine may have been away for long enough to begin anew
        assert set(for_ms(proxy)) <= {200, 400, 500} and scaled(1) > 1, for_ms(proxy)


def test_failing_trials_become_rare(t):
    """Issue 3, item 4: one request at a time tries a server whose time is over; clients notice nothing, and it costs less and less."""
    bad, good = t.origin(reset, name="a"), t.origin(answer_named, name="b")
    proxy = t.pool([server(bad, fail_timeout="100ms"), server(good)], workers=2)
    begun = time.monotonic()

    def work(_):
        with RawClient(proxy.address, timeout=scaled(8)) as client:
            while time.monotonic() - begun < 1.8:
                assert who(client.get("/")) == "b"
                time.sleep(0.002)
    in_threads(4, work)
    wait_log(proxy, "server is taken out")
    elapsed_ms, allowed = (time.monotonic() - begun) * 1000, 4 + 4  # at first all four may be on their way to it; then 100, 300, 700, 1500 ms
    assert 2 <= len(bad.requests()) <= allowed + int(elapsed_ms / 1900), len(bad.requests())
    assert for_ms(proxy) == [100]


def test_panic_is_logged_once(t):
    """Issue 3, item 4: when all have failed they are used all the same, and the log says so once, and once when it is over."""
    script = Switch(reset)
    servers = [server(t.origin(script, name=name), fail_timeout="30s") for name in "abc"]
    proxy = t.pool(servers, {"retry": {"attempts": 1}}, workers=2)

    def work(_):
        with RawClient(proxy.address, timeout=scaled(8)) as client:
            for _ in range(10):
                expect_status(client.get("/"), 502)
    in_threads(6, work)
    assert len(wait_log(proxy, "they are used all the same")) == 1
    script.now = answer_named
    client = t.client(proxy)
    ask(client, 20)
    assert len(wait_log(proxy, "server is back")) >= 1
    assert len(wait_log(proxy, "not all servers have failed any more")) == 1
    assert len(log_lines(proxy, "they are used all the same")) == 1 and len(for_ms(proxy)) == 3


def test_configured_statuses_count(t):
    """Issue 3, item 4: a status counts as a failure where it is listed, and only there; the client gets the answer."""
    for statuses, expected in (([500, 404], 1), ([502], 10)):
        bad, good = t.origin(answer_status(404), name="a"), t.origin(answer_named, name="b")
        proxy = t.pool([server(bad, fail_timeout="30s"), server(good)], {"passive": {"statuses": statuses}})
        client = t.client(proxy)
        answers = [client.get("/").status for _ in range(20)]
        assert answers.count(404) == expected == len(bad.requests()) and answers.count(200) == 20 - expected, answers


def test_max_ejected_is_respected(t):
    """Issue 3, item 4: of four failing servers no more are out at a time than passive.max_ejected allows."""
    origins = [t.origin(reset, name=name) for name in "abcd"]
    proxy = t.pool([server(origin, fail_timeout="30s") for origin in origins], {"passive": {"max_ejected": 50}, "retry": {"on": []}}, workers=2)
    for _ in range(40):
        with t.client(proxy) as client:
            expect_status(client.get("/"), 502)
    counts = sorted(len(origin.requests()) for origin in origins)
    assert len(for_ms(proxy)) == 2 and counts[:2] == [1, 1] and sum(counts) == 40, (counts, for_ms(proxy))
    assert not log_lines(proxy, "used all the same")


def test_slow_start_after_the_time_out(t):
    """Issue 3, item 3: a server that is back gets little at first and its share at the end, and nobody's request fails."""
    script, ramp = Switch(reset), scaled(3)
    back, steady = t.origin(script, name="a"), t.origin(answer_named, name="b")
    proxy = t.pool([server(back, fail_timeout="200ms", slow_start=f"{int(ramp * 1000)}ms"), server(steady)], workers=2, keepalive_requests=1000000)
    client = t.client(proxy)
    ask(client, 4)
    wait_log(proxy, "server is taken out")
    script.now = answer_named
    wait_for(lambda: ask(client, 1) == ["a"], scaled(5), "the server to be tried")
    begun, windows = time.monotonic(), {0: [], 1: [], 2: [], 3: []}
    while (part := int((time.monotonic() - begun) / ramp * 3)) < 4:
        windows[part] += ask(client, 1)
        time.sleep(0.001)
    shares = [names.count("a") / len(names) for names in windows.values()]
    assert shares[0] < 0.25 and shares[0] < shares[1] < shares[2] + 0.05 and 0.4 < shares[3] < 0.6, shares


# -- under load -----------------------------------------------------------------------------------------------------

CHILD = """
import socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline():
            while self.rfile.readline() not in (b"\\r\\n", b""):
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nchild")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 512
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_no_get_fails_while_a_server_flaps(t):
    """Issue 3, items 4 and 6: one of three origins ends, refuses and comes back, again and again, under load: no GET fails."""
    flapping = Mortal(t, "f")
    proxy = t.pool([server(flapping, fail_timeout="100ms"), *map(server, trio(t, names="ab"))], workers=2)
    errors = []
    flap(t, proxy, load(proxy, time.monotonic() + 2.5, errors), flapping.die, flapping.revive)
    assert not errors, (len(errors), errors[:3])
    assert len(flapping.lives) > 3


def test_no_get_fails_while_a_server_is_killed(t):
    """Issue 3, items 4 and 6: likewise with a process that is killed and started again."""
    port = free_port()
    script = t.dir / "child.py"
    script.write_text(CHILD)
    made = []

    def start():
        made.append(t.child([sys.executable, "-S", str(script), str(port)], f"origin{len(made)}"))

    def kill():
        made[-1].process.kill()
        made[-1].process.wait()
    start()
    proxy = t.pool([server(f"127.0.0.1:{port}", fail_timeout="100ms"), *map(server, trio(t, names="ab"))], workers=2)
    errors = []
    flap(t, proxy, load(proxy, time.monotonic() + 2.5, errors), kill, start)
    assert not errors, (len(errors), errors[:3])


def mischief(conn, request):
    """Fails in as many ways as there are: before, in and after the request."""
    how = len(conn.origin.log) % 5
    if how == 0:
        conn.reset()
    elif how == 1:
        conn.close()
    elif how == 2:
        conn.respond(503, b"busy")
    elif how == 3:
        conn.send(b"HTTP/1.1 2")
        conn.reset()
    else:
        answer_named(conn, request)


def rare_weather(t, knobs, workers):
    """Retries, bodies and a queue at once, with tiny rings and buffers; nothing fails, and nothing is left."""
    good = t.origin(Gate(hold=0.001), name="g")
    servers = [server(t.origin(mischief, name="m"), max_conns=4, **ALWAYS), server(good, max_conns=8, **ALWAYS), server(dead_address(), **ALWAYS)]
    upstream = {"queue": {"size": 1000}, "retry": {"on": ["error", "timeout", "invalid_header", "http_503"], "budget": 100}}
    proxy = t.pool(servers, upstream, engine=knobs, workers=workers)
    before = proxy.descriptors()
    body = BODY[:30000]

    def work(number):
        statuses = []
        client = RawClient(proxy.address, timeout=scaled(15))
        for step in range(8):
            response = client.request(put(body, step % 2 == 1, 700)) if (step + number) % 4 else client.get("/")
            # Where the next server is full, the 503 of the one that was asked is the answer: waiting is for those that have none.
            statuses.append(200 if response.body == b"busy" else response.status)
            if response.get("Connection") == "close":
                client.close()
                client = RawClient(proxy.address, timeout=scaled(15))
        client.close()
        return statuses
    statuses = tally(sum(in_threads(24, work), []))
    assert statuses == {200: 192}, statuses
    bodies = [r for r in good.requests() if r.method == "PUT" and r.complete]
    assert bodies and all(r.body == body for r in bodies)
    # Idle connections of each worker, and a few that are opened with the first requests.
    wait_for(lambda: proxy.descriptors() <= before + 12 * workers + 6, scaled(5), "descriptors to be closed")


def generated():
    for name, knobs in {"rings": {"cq_entries": 64, "sq_entries": 8},
                        "buffers": {"recv_buffers": 4, "recv_buffers_max": 8, "recv_buffer_size": "512b", "bulk_buffers": 2, "bulk_buffer_size": "4k"},
                        "singles": {"multishot_accept": False, "multishot_recv": False, "socket_send_buffer": "4k", "recv_buffers": 4}}.items():
        for workers in (1, 2):
            def test(t, knobs=knobs, workers=workers):
                rare_weather(t, knobs, workers)
            yield f"rare_weather_{name}_{workers}", test, f"rare_{name}_{workers}"


def test_nothing_is_left_after_a_storm(t):
    """62, issue 3, item 6: after many failures, retries and resets of clients, no descriptor is lost and all places are free."""
    calm = Gate(is_open=False)

    def script(conn, request):
        (calm if request.target == "/calm" else mischief)(conn, request)
    origins = [t.origin(script, name=name) for name in "ab"]
    proxy = t.pool([server(origin, max_conns=2, **ALWAYS) for origin in origins], {"queue": {"size": 1000, "timeout": "20s"}, "keepalive": 0}, workers=2)
    before = proxy.descriptors()

    def work(number):
        for step in range(40):
            try:
                with RawClient(proxy.address, timeout=scaled(8)) as client:
                    client.send(put(BODY[:2000], step % 2 == 1, 100))
                    if (step + number) % 3:
                        client.response("PUT")
                    client.reset()
            except Ended:
                pass
    in_threads(8, work)
    held = [t.client(proxy, timeout=scaled(15)) for _ in range(4)]
    for client in held:
        send_get(client, "/calm")
    calm.wait_inside(4)
    calm.open()
    for client in held:
        who(client.response())
        client.close()
    # Some are opened with the first requests only.
    wait_for(lambda: proxy.descriptors() <= before + 6, scaled(5), "descriptors to be closed")
