# SPDX-License-Identifier: GPL-3.0-or-later
"""
What clients see when something breaks: origins that die, refuse, hang or reset; clients that disappear; descriptors that run out;
each timeout; the two ways of stopping. Numbers in docstrings are requirements of HTTP.md.
"""

import signal
import socket
import subprocess
import threading
import time

from client import RawClient
from harness import Skip, document, expect_status, find_balancers, find_binary, free_port, scaled, wait_gone
from origin import hang, sleep_then_answer
from wire import Ended, wait_for


def dead_address():
    return f"127.0.0.1:{free_port()}"


def took(function):
    begun = time.monotonic()
    result = function()
    return result, time.monotonic() - begun


# -- origins that break ---------------------------------------------------------------------------------------------


def cut_after(head, body, how):
    """A script that answers with a part and then ends by FIN ("close") or RST ("reset")."""
    def script(conn, _):
        conn.send(head + body)
        time.sleep(0.1)
        conn.close() if how == "close" else conn.reset()
    return script


def test_origin_dies_in_the_middle(t):
    """50, 59: short Content-Length and missing last chunk are seen as truncation, never as a clean end."""
    heads = (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n")
    for head in heads:
        for how in ("close", "reset"):
            origin = t.origin(cut_after(head, b"x" * 500, how))
            response = t.client(t.proxy(origin)).get("/")
            assert response.status == 200 and response.end in ("eof", "reset"), (head, how, response.end)
            assert len(response.body) <= 500


def test_reset_of_a_close_delimited_answer(t):
    """50: a close-delimited answer that ends in RST never looks complete: no last chunk, or a reset."""
    origin = t.origin(cut_after(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 500, "reset"))
    proxy = t.proxy(origin)
    response = t.client(proxy).get("/")
    assert response.end in ("eof", "reset"), f"the cut looks complete: {response}"
    client = t.client(proxy)
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    response = client.response()
    assert response.end == "reset", f"to HTTP/1.0 only a reset shows the cut: {response}"


def test_reset_before_the_answer(t):
    """16, 59: 502, and the client connection goes on."""
    for ending in ("close", "reset"):
        origin = t.origin(lambda conn, _, ending=ending: getattr(conn, ending)())
        client = t.client(t.proxy(origin))
        for _ in range(3):
            expect_status(client.get("/"), 502)


def test_refused(t):
    """16: 502 when nobody listens, on the same client connection."""
    client = t.client(t.proxy(locations=[{"path": "/", "proxy_pass": "http://" + dead_address()}]))
    for _ in range(3):
        expect_status(client.get("/"), 502)
        expect_status(client.get("/", method="POST", body=b"hello"), 502)


def test_refused_goes_to_the_next_server(t):
    """15, 59, PEERS 1: a refused connect is always retried, also for POST."""
    origin = t.origin()
    servers = [{"address": dead_address(), "max_fails": 0}, {"address": dead_address(), "max_fails": 0}, {"address": origin.address}]
    client = t.client(t.pool(servers))
    for number in range(6):
        expect_status(client.get(f"/{number}"), 200)
        expect_status(client.get(f"/{number}", method="POST", body=b"hello"), 200)
    assert all(r.body == b"hello" for r in origin.requests() if r.method == "POST")


def test_all_refuse(t):
    """16: 502 when every server refuses, and again when all of them are out (none available: 502 or 503)."""
    client = t.client(t.pool([{"address": dead_address()}, {"address": dead_address()}]))
    expect_status(client.get("/"), 502)
    expect_status(client.get("/"), 502, 503)


def test_retry_attempts(t):
    """6 of issue 3: retry.attempts bounds the servers tried for one request."""
    origin = t.origin()
    servers = [{"address": dead_address(), "max_fails": 0}, {"address": dead_address(), "max_fails": 0}, {"address": origin.address}]
    client = t.client(t.pool(servers, {"retry": {"attempts": 1}}))
    statuses = sorted(client.get("/").status for _ in range(6))
    assert statuses == [200, 200, 502, 502, 502, 502], statuses


def test_failing_server_is_left_out(t):
    """PEERS 1: after max_fails failures within fail_timeout a server is left alone, then tried again. The request that was sent to
    it is not sent again where the group says so: it gets the 502."""
    flaky_state = {"broken": True}

    def flaky(conn, _):
        if flaky_state["broken"]:
            conn.reset()
        else:
            conn.respond(body=b"flaky")
    bad, good = t.origin(flaky, name="bad"), t.origin(name="good")
    servers = [{"address": bad.address, "max_fails": 1, "fail_timeout": "1s"}, {"address": good.address}]
    client = t.client(t.pool(servers, {"retry": {"on": []}}))
    statuses = [client.get("/").status for _ in range(8)]
    assert statuses.count(502) == 1 and statuses.count(200) == 7, statuses
    assert len(bad.requests()) <= 2, f"{len(bad.requests())} requests to a server that is out"
    flaky_state["broken"] = False
    wait_for(lambda: client.get("/").body == b"flaky", scaled(5), "the server to be tried again")


def test_hanging_origin(t):
    """16: 504 at the read timeout, not before; the upstream connection is closed; others are served meanwhile."""
    origin = t.origin(lambda conn, request: conn.respond(body=b"ok") if request.target == "/ok" else hang(conn, request))
    proxy = t.proxy(origin, proxy_read_timeout="700ms")
    slow = t.client(proxy)
    slow.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
    assert t.client(proxy).get("/ok").body == b"ok"
    response, seconds = took(slow.response)
    expect_status(response, 504)
    assert 0.3 < seconds < scaled(4), seconds
    hanging = [c for c in origin.connections if c.requests and c.requests[0].target == "/hang"]
    wait_gone(hanging[0])


def test_next_request_goes_to_another_server(t):
    """PEERS 1: a server that hung or died is left out for the next request."""
    bad, good = t.origin(hang, name="bad"), t.origin(name="good")
    client = t.client(t.pool([bad, good], {"retry": {"attempts": 1}}, proxy_read_timeout="400ms"))
    bodies = [client.get("/") for _ in range(5)]
    assert [r.status for r in bodies].count(504) <= 1 and bodies[-1].body == b"good GET /\n", bodies
    assert len(bad.requests()) <= 1, bad.requests()


def test_read_timeout_in_the_middle_is_a_truncation(t):
    """50, 59: an origin that stops in the middle: cut at the read timeout."""
    def script(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        hang(conn, request)
    response, seconds = took(lambda: t.client(t.proxy(t.origin(script), proxy_read_timeout="500ms")).get("/"))
    assert response.body == b"half" and response.end in ("eof", "reset") and seconds < scaled(4), (response, seconds)


def stale_origin(t):
    """An origin whose connections die, with RST, when the second request comes in on them."""
    def script(conn, request):
        if conn.requests.index(request) == 0:
            conn.respond(body=b"%d" % conn.number)
        else:
            conn.reset()
    return t.origin(script)


def test_stale_connection_is_retried_for_get_only(t):
    """15, 59: GET goes out again on another connection; POST, once sent, does not."""
    origin = stale_origin(t)
    client = t.client(t.proxy(origin))
    for _ in range(4):
        expect_status(client.get("/"), 200)
    posts = [client.get("/p", method="POST", body=b"once") for _ in range(2)]
    assert 502 in [r.status for r in posts], posts
    bodies = [r for r in origin.requests() if r.method == "POST"]
    assert len(bodies) == 2, f"2 POSTs were sent, {len(bodies)} arrived"


def test_closed_idle_connection_is_noticed(t):
    """59: an idle connection that the origin closed is not used: even POST succeeds."""
    origin = t.origin()
    client = t.client(t.proxy(origin))
    for _ in range(3):
        expect_status(client.get("/", method="POST", body=b"x"), 200)
        origin.connections[-1].close()
        time.sleep(0.1)
    assert len(origin.connections) == 3


def test_empty_chunked_body_is_not_lost_in_a_retry(t):
    """53, 59: the last chunk was sent with the first try; a second one without it would leave the origin waiting for a body."""
    origin = stale_origin(t)
    client = t.client(t.proxy(origin, proxy_read_timeout="2s"))
    expect_status(client.get("/"), 200)
    expect_status(client.request(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 200, 502)
    assert all(r.complete for r in origin.requests()), origin.requests()


def test_idle_connections_leave_room_for_other_servers(t):
    """Issue 2, 7: connections kept to many servers never make the next server seem broken."""
    origins = [t.origin(sleep_then_answer(0.2)) for _ in range(5)]
    locations = [{"path": f"/{i}", "proxy_pass": origin.url} for i, origin in enumerate(origins)]
    proxy = t.proxy(locations=locations, worker_connections=6)
    clients = [t.client(proxy) for _ in range(4)]
    for i in range(len(origins)):
        for client in clients:
            client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i)
        for client in clients:
            expect_status(client.response(), 200)


# -- clients that disappear -----------------------------------------------------------------------------------------


def test_client_disappears_while_waiting(t):
    """59, 62: RST or FIN of a waiting client ends the upstream connection (a half-closed client is served)."""
    origin = t.origin(hang)
    proxy = t.proxy(origin)
    client = t.client(proxy)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    origin.wait_requests(1)
    client.reset()
    wait_gone(origin.connections[0])


def test_client_disappears_in_the_upload(t):
    """50: the origin sees a cut, not an end."""
    for head in (b"Content-Length: 100000", b"Transfer-Encoding: chunked"):
        for ending in ("reset", "close"):
            origin = t.origin()
            client = t.client(t.proxy(origin))
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n" + (b"5\r\nhello\r\n" if b"chunked" in head else b"hello"))
            origin.wait_requests(1)
            getattr(client, ending)()
            wait_gone(origin.connections[0])
            assert not origin.requests()[0].complete


def test_client_disappears_in_the_download(t):
    """62: the upstream connection ends, the proxy goes on."""
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while conn.send(b"1000\r\n" + b"x" * 4096 + b"\r\n"):
            pass
    origin = t.origin(script)
    proxy = t.proxy(origin)
    for ending in ("reset", "close"):
        client = t.client(proxy)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.stream.fill()
        getattr(client, ending)()
    wait_for(lambda: len(origin.connections) == 2 and not origin.open_connections(), scaled(8), "both upstream connections to end")


# -- timeouts of clients --------------------------------------------------------------------------------------------


def test_header_timeout(t):
    """16, 62: 408 or a close for a half head, by an absolute deadline that a trickle does not move."""
    proxy = t.proxy(t.origin(), client_header_timeout="700ms")
    client = t.client(proxy)
    begun = time.monotonic()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    while time.monotonic() - begun < scaled(5) and client.send(b"x"):
        time.sleep(0.05)
        if has_input(client):
            break
    assert 0.3 < time.monotonic() - begun < scaled(3), time.monotonic() - begun
    responses, _ = client.all_responses()
    assert [r.status for r in responses] in ([], [408]), responses


def has_input(client):
    client.sock.setblocking(False)
    try:
        client.sock.recv(1, socket.MSG_PEEK)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        client.sock.settimeout(client.stream.timeout)


def test_silent_connection_is_closed(t):
    """62: a client that never sends anything is closed, without an answer (or with 408)."""
    client = t.client(t.proxy(t.origin(), client_header_timeout="500ms", keepalive_timeout="500ms"))
    responses, how = client.all_responses()
    assert how in ("eof", "reset") and [r.status for r in responses] in ([], [408]), (responses, how)


def test_body_timeout(t):
    """16, 62: 408 when a body stops; nothing complete upstream."""
    origin = t.origin()
    client = t.client(t.proxy(origin, client_body_timeout="500ms"))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
    (responses, how), seconds = took(client.all_responses)
    assert [r.status for r in responses] in ([408], []) and how in ("eof", "reset"), (responses, how)
    assert 0.2 < seconds < scaled(4) and not any(r.complete for r in origin.requests())


def test_read_timeout_within_a_head_or_trailers(t):
    """16, 62: an origin that stops in the middle of its head gives 504, in the middle of its trailers a cut."""
    for part, expected in ((b"HTTP/1.1 200 OK\r\nX: 1", (504, "complete")),
                           (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX:", (200, "reset"))):
        def script(conn, _, part=part):
            conn.send(part)
            conn.wait_end(20)
        response, seconds = took(lambda: t.client(t.proxy(t.origin(script), proxy_read_timeout="500ms")).get("/"))
        assert (response.status, response.end) == expected and 0.2 < seconds < scaled(4), (response, seconds)


def test_read_timeout_begins_when_the_body_is_sent(t):
    """16: a long proxy_send_timeout does not put off a short proxy_read_timeout."""
    client = t.client(t.proxy(t.origin(hang), proxy_read_timeout="500ms", proxy_send_timeout="30s"))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    time.sleep(0.1)
    client.send(b"hello")
    response, seconds = took(lambda: client.response("POST"))
    assert response.status == 504 and 0.2 < seconds < scaled(4), (response, seconds)


def test_body_timeout_within_trailers(t):
    """62: trailers that stop in the middle are a body that stops."""
    client = t.client(t.proxy(t.origin(), client_body_timeout="500ms"))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum:")
    response, seconds = took(lambda: client.response("POST"))
    assert response.status == 408 and 0.2 < seconds < scaled(4), (response, seconds)


def test_keepalive_timeout_of_zero_says_close(t):
    """57: a connection that will not be kept is announced as such."""
    client = t.client(t.proxy(t.origin(), keepalive_timeout=0))
    assert client.get("/").get("Connection") == "close"
    assert client.ending() == "eof"


def test_keepalive_timeout(t):
    """7 of issue 2: an idle connection ends without a word after keepalive_timeout."""
    client = t.client(t.proxy(t.origin(), keepalive_timeout="500ms"))
    expect_status(client.get("/"), 200)
    how, seconds = took(client.ending)
    assert how == "eof" and 0.2 < seconds < scaled(3), (how, seconds)


def test_send_timeout(t):
    """62: a client that does not read is cut after send_timeout, and its upstream connection too."""
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while conn.send(b"x" * 65536):
            pass
    origin = t.origin(script)
    client = t.client(t.proxy(origin, send_timeout="700ms", engine={"socket_send_buffer": "16k", "pin": False}), receive_buffer=4096)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    _, seconds = took(lambda: wait_for(lambda: origin.connections and origin.connections[0].ended, scaled(8), "the cut"))
    assert 0.3 < seconds < scaled(6), seconds


def test_minimum_rate(t):
    """62: a body that trickles under client_min_rate is given up although every pause is short."""
    origin = t.origin()
    client = t.client(t.proxy(origin, client_min_rate=10000, client_body_timeout="1s"))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    begun = time.monotonic()
    while not has_input(client):
        assert time.monotonic() - begun < scaled(12), "a trickling body is never given up"
        client.send(b"x")
        time.sleep(0.05)
    assert not any(r.complete for r in origin.requests())


def full_listener():
    """A listening socket whose backlog is full, so that a further connect hangs; and what fills it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(8):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    time.sleep(0.1)
    return listener, fillers


def test_connect_timeout(t):
    """16: 504 when a connect hangs longer than proxy_connect_timeout (a full backlog does that)."""
    listener, fillers = full_listener()
    url = "http://127.0.0.1:%d" % listener.getsockname()[1]
    client = t.client(t.proxy(locations=[{"path": "/", "proxy_pass": url}], proxy_connect_timeout="500ms"))
    response, seconds = took(lambda: client.get("/"))
    for sock in (listener, *fillers):
        sock.close()
    expect_status(response, 504)
    assert 0.3 < seconds < scaled(4), seconds


# -- limits of the process ------------------------------------------------------------------------------------------


def test_out_of_descriptors(t):
    """7 of issue 2: with all descriptors taken new clients wait or are refused; when some are free, all is well again."""
    origin = t.origin()
    proxy = t.proxy(origin, files_limit=64)
    crowd = []
    for _ in range(90):
        try:
            crowd.append(RawClient(proxy.address, timeout=1))
        except OSError:
            break
    time.sleep(0.3)
    ticks_before = cpu_ticks(proxy)
    time.sleep(1)
    assert cpu_ticks(proxy) - ticks_before < 60 * max(scaled(1), 1), "the proxy spins while descriptors are out"
    for client in crowd:
        client.close()

    def served():
        try:
            return RawClient(proxy.address, timeout=scaled(1)).get("/").status == 200
        except (OSError, Ended):
            return False
    wait_for(served, scaled(8), "service after descriptors are free again")


def cpu_ticks(proxy):
    fields = open(f"/proc/{proxy.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_worker_connections(t):
    """7 of issue 2: above worker_connections new clients wait, are refused or get 503; those inside are served."""
    proxy = t.proxy(t.origin(), worker_connections=8)
    inside = [t.client(proxy) for _ in range(4)]
    for client in inside:
        expect_status(client.get("/"), 200)
    outside = [RawClient(proxy.address, timeout=1) for _ in range(30)]
    for client in inside:
        expect_status(client.get("/"), 200)
    for client in outside + inside:
        client.close()

    def served():
        try:
            return RawClient(proxy.address, timeout=scaled(1)).get("/").status == 200
        except (OSError, Ended):
            return False
    wait_for(served, scaled(8), "service after the crowd has gone")


# -- stopping -------------------------------------------------------------------------------------------------------


def test_graceful_stop(t):
    """5 of issue 4: a request in flight is finished, idle connections end, no new ones are taken, exit status 0."""
    proxy = t.proxy(t.origin(sleep_then_answer(scaled(0.8))))
    idle, busy = t.client(proxy), t.client(proxy)
    busy.send(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
    t.origins[-1].wait_requests(1)
    proxy.send_signal(signal.SIGQUIT)
    response = expect_status(busy.response(), 200)
    assert "close" in response.all("Connection"), f"the last answer says close: {response}"
    assert idle.ending() == "eof"
    idle.close()
    busy.close()
    assert proxy.wait(4) == 0


def test_a_request_that_arrives_during_the_stop_is_answered(t):
    """5 of issue 4: on an idle connection, with Connection: close, and on one that waited in the accept queue."""
    proxy = t.proxy(t.origin(), shutdown_idle_timeout="5s")
    idle, silent = t.client(proxy), t.client(proxy)
    expect_status(idle.get("/"), 200)
    proxy.send_signal(signal.SIGQUIT)
    wait_for(lambda: "stopping signal=QUIT" in proxy.stderr(), scaled(3), "the stop")
    for client in (idle, silent):
        response = expect_status(client.get("/"), 200)
        assert "close" in response.all("Connection"), response
        assert client.ending() == "eof"
        client.close()
    assert proxy.wait(4) == 0


def test_the_stop_ends_idle_connections_without_a_reset(t):
    """5 of issue 4, RFC 9112 9.6: what crosses our end on the way meets no reset."""
    proxy = t.proxy(t.origin(), shutdown_idle_timeout="100ms")
    idle = t.client(proxy)
    expect_status(idle.get("/"), 200)
    proxy.send_signal(signal.SIGQUIT)
    assert idle.ending() == "eof"
    idle.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert idle.ending() == "eof"
    assert proxy.wait(4) == 0


def test_a_fast_stop_cuts(t):
    """2 of issue 4: TERM and INT end it at once, as in nginx."""
    for number in (signal.SIGTERM, signal.SIGINT):
        proxy = t.proxy(t.origin(hang))
        busy = t.client(proxy)
        busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        t.origins[-1].wait_requests(1)
        proxy.send_signal(number)
        assert proxy.wait(3) == 0
        assert busy.ending() in ("eof", "reset")


def test_idle_connections_do_not_delay_the_stop(t):
    """7 of issue 2: neither a client that never said anything nor one between two requests holds the process."""
    proxy = t.proxy(t.origin())
    silent, between = t.client(proxy), t.client(proxy)
    expect_status(between.get("/"), 200)
    proxy.send_signal(signal.SIGQUIT)
    assert proxy.wait(5) == 0
    assert silent.ending() in ("eof", "reset")


def test_new_connections_are_refused_while_stopping(t):
    """7 of issue 2: the listeners close first."""
    proxy = t.proxy(t.origin(sleep_then_answer(scaled(1.5))))
    busy = t.client(proxy)
    busy.send(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
    t.origins[0].wait_requests(1)
    proxy.send_signal(signal.SIGQUIT)

    def refused():
        try:
            RawClient(proxy.address, timeout=0.3).close()
            return False
        except OSError:
            return True
    wait_for(refused, scaled(1.2), "new connections to be refused")
    expect_status(busy.response(), 200)


def test_second_signal_stops_at_once(t):
    """7 of issue 2: SIGTERM after SIGQUIT does not wait for requests in flight."""
    proxy = t.proxy(t.origin(hang))
    busy = t.client(proxy)
    busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    t.origins[0].wait_requests(1)
    proxy.send_signal(signal.SIGQUIT)
    time.sleep(0.3)
    assert proxy.process.poll() is None, "the graceful stop did not wait for the request"
    proxy.send_signal(signal.SIGTERM)
    assert proxy.wait(3) == 0


def test_shutdown_timeout(t):
    """7 of issue 2: shutdown_timeout bounds the graceful stop."""
    proxy = t.proxy(t.origin(hang), shutdown_timeout="500ms")
    t.client(proxy).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    t.origins[0].wait_requests(1)
    proxy.send_signal(signal.SIGQUIT)
    assert proxy.wait(4) == 0


def test_stop_under_load(t):
    """7 of issue 2: SIGQUIT while clients hammer: every answer is whole or the connection ended before its head."""
    proxy = t.proxy(t.origin(), workers=2)
    torn = []

    def hammer():
        try:
            with RawClient(proxy.address, timeout=scaled(5)) as client:
                while client.get("/").complete:
                    pass
                torn.append("a cut answer")
        except Ended as end:
            if end.partial:
                torn.append(repr(end.partial))
        except OSError:
            pass
    threads = [threading.Thread(target=hammer, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    proxy.send_signal(signal.SIGQUIT)
    assert proxy.wait(6) == 0
    for thread in threads:
        thread.join(scaled(6))
    assert not torn, torn


def test_kernel_without_io_uring(t):
    """DESIGN 5.1: where io_uring is refused the program says which mechanism refused, and ends with an error."""
    config = t.config([{"path": "/", "respond": {"status": 200, "body": "x"}}])
    path = t.dir / "refused.conf"

    path.write_text(document(config))
    filter_program = seccomp_launcher(t)
    balancers = find_balancers()
    command = [*filter_program, find_binary(), "-c", str(path)] + (["-b", balancers] if balancers else [])
    try:
        done = subprocess.run(command, capture_output=True, timeout=scaled(8), stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired as expired:
        raise AssertionError("the proxy runs without io_uring") from expired
    text = done.stderr.decode(errors="replace")
    assert done.returncode not in (0, -11, -6) and "io_uring" in text, (done.returncode, text[-500:])


def seccomp_launcher(t):
    """A Python child that refuses io_uring_setup by seccomp (EPERM), then becomes the proxy."""
    script = t.dir / "refuse.py"
    script.write_text(SECCOMP)
    probe = subprocess.run(["python3", str(script), "/bin/true"], capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if probe.returncode != 0:
        raise Skip(f"seccomp is not to be had here: {probe.stderr.decode(errors='replace')[-200:]}")
    return ["python3", str(script)]


SECCOMP = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
ins = lambda code, jt, jf, k: struct.pack("HBBI", code, jt, jf, k)
program = ins(0x20, 0, 0, 0) + ins(0x15, 0, 1, 425) + ins(0x06, 0, 0, 0x00050001) + ins(0x06, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(program)
class Prog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
prog = Prog(4, ctypes.addressof(buffer))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(prog), 0, 0):
    sys.exit(f"prctl: {ctypes.get_errno()}")
os.execv(sys.argv[1], sys.argv[1:])
"""
