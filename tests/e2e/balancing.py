# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which server gets a request, as a client and the origins see it: the strategies over two workers, weights and flags, backups, sticky
sessions, max_conns and the queue. Retries and the passive check are in retries.py. Numbers in docstrings are requirements of HTTP.md.
"""

import select
import signal
import time

from client import RawClient
from crowd import (Gate, Mortal, Switch, answer_named, ask, ask_afresh, crowd, in_threads, reset, send_get, server, tally, trio, wait_log, who)
from failures import dead_address
from harness import Skip, expect_status, scaled
from wire import chunked, wait_for

USER = {"key": "$http_x_user"}
USERS = [f"user{i}" for i in range(60)]


def idle_gone(proxy, before, what):
    """Waits until the proxy has closed what it had opened since."""
    wait_for(lambda: proxy.descriptors() <= before, scaled(5), f"{what}: {proxy.descriptors()} descriptors, {before} before")


# -- strategies -----------------------------------------------------------------------------------------------------


def test_round_robin_is_smooth(t):
    """Issue 3, item 1: weights 5, 1, 1 give a a b a c a a, again and again, as in nginx."""
    origins = trio(t)
    servers = [server(origin, weight=weight) for origin, weight in zip(origins, (5, 1, 1))]
    client = t.client(t.pool(servers))
    assert "".join(ask(client, 21)) == "aabacaa" * 3


def test_round_robin_is_exact_over_all_workers(t):
    """Issue 3, item 1: many connections at once and two workers get exactly 5:1:1, and one after another in turn."""
    servers = [server(origin, weight=weight) for origin, weight in zip(trio(t), (5, 1, 1))]
    proxy = t.pool(servers, workers=2)
    assert "".join(ask_afresh(t, proxy, 14)) == "aabacaa" * 2
    assert tally(crowd(proxy, 14, 20)) == {"a": 200, "b": 40, "c": 40}


def test_round_robin_over_many_servers(t):
    """Issue 3, item 1: equal servers take turns in the order of the configuration."""
    client = t.client(t.pool(trio(t, names="abcdefgh"), workers=2))
    assert "".join(ask(client, 16)) == "abcdefgh" * 2


def test_least_conn_goes_where_least_is_going_on(t):
    """Issue 3, item 1: requests in flight count, of all workers and in proportion to the weights; equal servers take turns."""
    gates = {name: Gate() for name in "ab"}
    a, b = (t.origin(gates[name], name=name) for name in "ab")
    proxy = t.pool([server(a, weight=3), server(b)], {"balance": "least_conn"}, workers=2)
    assert tally(ask_afresh(t, proxy, 40)) == {"a": 30, "b": 10}
    for gate in gates.values():
        gate.shut()
    held = [t.client(proxy) for _ in range(12)]
    for count, client in enumerate(held, 1):
        send_get(client)
        wait_for(lambda count=count: gates["a"].inside + gates["b"].inside == count, scaled(8), "a request at an origin")
    assert (gates["a"].inside, gates["b"].inside) == (9, 3), (gates["a"].inside, gates["b"].inside)
    gates["b"].open()
    gates["b"].wait_inside(0)
    assert tally(ask_afresh(t, proxy, 20)) == {"b": 20}
    gates["a"].open()
    for client in held:
        who(client.response())


def test_least_conn_avoids_a_slow_server(t):
    """Issue 3, item 1: under load a server that takes long gets few."""
    slow, fast = t.origin(Gate(hold=scaled(0.3)), name="slow"), t.origin(name="fast", handler=answer_named)
    shares = tally(crowd(t.pool([slow, fast], {"balance": "least_conn"}, workers=2), 8, 40))
    assert shares["slow"] * 4 < shares["fast"], shares


def test_random_follows_the_weights(t):
    """Issue 3, item 1: random draws by weight; 1 of 5 within six standard deviations."""
    servers = [server(origin, weight=weight) for origin, weight in zip(trio(t, names="ab"), (4, 1))]
    proxy = t.pool(servers, {"balance": "random"}, workers=2)
    shares = tally(sum((ask(t.client(proxy), 25) for _ in range(20)), []))
    assert 46 < shares["b"] < 154, shares


def test_random_avoids_a_crowded_server(t):
    """Issue 3, item 1: of two draws the less busy one serves."""
    gate = Gate(is_open=False)
    slow, fast = t.origin(gate, name="slow"), t.origin(name="fast", handler=answer_named)
    proxy = t.pool([slow, fast], {"balance": "random"}, workers=2)
    held = []
    while gate.inside == 0:
        held.append(t.client(proxy))
        send_get(held[-1])
        wait_for(lambda: gate.inside or select.select([held[-1].sock], [], [], 0)[0], scaled(8), "an answer, or a request that is held")
        assert len(held) < 60, "one of two is never drawn"
    assert tally(ask_afresh(t, proxy, 30)) == {"fast": 30}
    gate.open()
    for client in held:
        who(client.response())


def test_least_time_prefers_the_fast_server(t):
    """Issue 3, item 1: the one that answers sooner gets nearly all, over both workers."""
    slow, fast = t.origin(Gate(hold=scaled(0.15)), name="slow"), t.origin(name="fast", handler=answer_named)
    proxy = t.pool([slow, fast], {"balance": "least_time"}, workers=2)
    shares = tally(ask_afresh(t, proxy, 60))
    assert shares["fast"] >= 54, shares


KEYED = {"hash": {"balance": "hash", **USER}, "consistent": {"balance": "hash", "consistent": True, **USER}, "maglev": {"balance": "maglev", **USER}}


def servers_of_users(t, proxy):
    """{user: server}, and each user on two connections, so most likely on both workers."""
    found = {}
    for user in USERS:
        names = ask_afresh(t, proxy, 2, "/", f"X-User: {user}")
        assert names[0] == names[1], f"{user} went to {names}"
        found[user] = names[0]
    return found


def keyed_test(upstream):
    def test(t):
        """Issue 3, item 1: one key, one server, over two workers; while a server is dead its keys alone move, and they come back."""
        dead = Mortal(t, "d")
        servers = [*map(server, trio(t)), server(dead, fail_timeout="300ms")]
        proxy = t.pool(servers, upstream, workers=2)
        before = servers_of_users(t, proxy)
        assert set(before.values()) == set("abcd"), tally(before.values())
        dead.die()
        during = servers_of_users(t, proxy)
        moved = {user for user in USERS if before[user] != during[user]}
        assert moved == {user for user in USERS if before[user] == "d"}, moved
        dead.revive()
        mine = next(user for user in USERS if before[user] == "d")
        wait_for(lambda: ask_afresh(t, proxy, 1, "/", "X-User: " + mine) == ["d"], scaled(8), "a key to come back")
        wait_log(proxy, "server is back")
        assert servers_of_users(t, proxy) == before, "the keys did not come back"
    return test


def fewer_moves_test(upstream):
    def test(t):
        """Issue 3, item 1: in a pool with one server more, a fifth of the keys move, and nearly all of them to that one."""
        origins = trio(t, names="abcde")
        before = servers_of_users(t, t.pool(origins[:4], upstream))
        after = servers_of_users(t, t.pool(origins, upstream))
        moved = [after[user] for user in USERS if before[user] != after[user]]
        elsewhere = len([name for name in moved if name != "e"])
        assert elsewhere <= (0 if upstream.get("consistent") else 6) and len(moved) < 30, (moved, elsewhere)
    return test


def generated():
    for name, upstream in KEYED.items():
        yield f"keys_stay_{name}", keyed_test(upstream), f"keys_stay_{name}"
        if name != "hash":
            yield f"few_keys_move_{name}", fewer_moves_test(upstream), f"few_keys_move_{name}"


def test_ip_hash_goes_by_the_network_of_the_client(t):
    """Issue 3, item 1: as in nginx the first three octets decide; networks are spread."""
    proxy = t.pool(trio(t), {"balance": "ip_hash"}, workers=2)

    def served(source):
        try:
            with RawClient(proxy.address, timeout=scaled(8), source=(source, 0)) as client:
                return who(client.get("/"))
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            raise Skip(f"no source addresses here: {error}") from error
    of_network = [{served(f"127.1.{network}.{host}") for host in (1, 77, 254)} for network in range(24)]
    assert all(len(names) == 1 for names in of_network), of_network
    assert set.union(*of_network) == set("abc"), of_network


# -- flags, weights, backups ----------------------------------------------------------------------------------------


def test_weight_zero_and_down_get_nothing(t):
    """Issue 3, item 2: neither takes requests."""
    a, b, c = trio(t)
    proxy = t.pool([server(a, weight=0), server(b, down=True), server(c)], workers=2)
    assert tally(ask_afresh(t, proxy, 30)) == {"c": 30}
    assert not a.connections and not b.connections


def test_all_down(t):
    """16: 503 when nobody may serve, with Retry-After; the client connection goes on."""
    a, b, _ = trio(t)
    client = t.client(t.pool([server(a, down=True), server(b, weight=0)]))
    for _ in range(3):
        assert expect_status(client.get("/"), 503).all("Retry-After")


BACKUP_STRATEGIES = ({}, {"balance": "least_conn"}, {"balance": "random"}, {"balance": "least_time"}, {"balance": "ip_hash"}, *KEYED.values())


def test_backups_serve_when_the_primaries_are_down(t):
    """Issue 3, item 2: with every strategy, ip_hash and hash too; the backups share among themselves."""
    a, b, c = trio(t)
    for upstream in BACKUP_STRATEGIES:
        for flag in ({"down": True}, {"weight": 0}):
            proxy = t.pool([server(a, **flag), server(b, backup=True), server(c, backup=True)], upstream)
            names = [name for user in USERS[:24] for name in ask_afresh(t, proxy, 1, "/", "X-User: " + user)]
            assert set(names) <= set("bc") and (upstream.get("balance") == "ip_hash" or len(set(names)) == 2), (upstream, tally(names))
            proxy.finish()


def test_backups_serve_when_the_primaries_refuse(t):
    """Issue 3, item 2: in the very request that was refused, and nobody else gets one while a primary lives."""
    for upstream in BACKUP_STRATEGIES:
        a, b = Mortal(t, "a"), t.origin(answer_named, name="b")
        proxy = t.pool([server(a, fail_timeout="200ms"), server(b, backup=True)], upstream)
        assert tally(ask_afresh(t, proxy, 6, "/", "X-User: u")) == {"a": 6}
        a.die()
        assert tally(ask_afresh(t, proxy, 12, "/", "X-User: u")) == {"b": 12}, upstream
        a.revive()
        wait_for(lambda: ask_afresh(t, proxy, 1, "/", "X-User: u") == ["a"], scaled(8), "the primary to be used again")
        assert tally(ask_afresh(t, proxy, 6, "/", "X-User: u")) == {"a": 6}
        proxy.finish()


def test_backups_serve_when_the_primaries_are_full(t):
    """Issue 3, item 2: at max_conns the backup helps out, and only then; it needs no queue."""
    gate = Gate(is_open=False)
    a, b = t.origin(gate, name="a"), t.origin(name="b", handler=answer_named)
    proxy = t.pool([server(a, max_conns=2), server(b, backup=True)], {"queue": {"size": 10}}, workers=2)
    held = [t.client(proxy) for _ in range(2)]
    for client in held:
        send_get(client)
    gate.wait_inside(2)
    assert tally(ask_afresh(t, proxy, 10)) == {"b": 10}
    gate.open()
    assert [who(client.response()) for client in held] == ["a", "a"]
    assert tally(ask_afresh(t, proxy, 10)) == {"a": 10}


def test_backups_serve_when_the_primaries_were_tried(t):
    """Issue 3, item 2: those that failed in this request are passed over, though nothing takes them out."""
    a, b, c = (t.origin(script, name=name) for name, script in zip("abc", (lambda conn, _: conn.reset(), lambda conn, _: conn.close(), answer_named)))
    proxy = t.pool([server(a, max_fails=0), server(b, max_fails=0), server(c, backup=True)])
    assert tally(ask_afresh(t, proxy, 10)) == {"c": 10}
    assert len(a.requests()) == len(b.requests()) == 10


def test_single_server_is_never_taken_out(t):
    """Issue 3, item 2: nginx's rule: the only server is asked every time."""
    only = Mortal(t, "a")
    client = t.client(t.pool([server(only, max_fails=1, fail_timeout="60s")]))
    assert ask(client, 1) == ["a"]
    only.die()
    for _ in range(5):
        expect_status(client.get("/"), 502)
    only.revive()
    assert ask(client, 3) == ["a"] * 3


def test_nginx_tutorial(t):
    """Issue 3, item 2: the pool of a common nginx tutorial in each state: the plain server alive, dead, back, and everything dead."""
    first, plain, spare = Mortal(t, "first"), Mortal(t, "plain"), Mortal(t, "spare")
    servers = [server(first, weight=3, down=True), server(plain, fail_timeout="300ms"), server(spare, backup=True, fail_timeout="300ms")]
    proxy = t.pool(servers, {"balance": "least_conn"}, workers=2)
    assert tally(crowd(proxy, 6, 10)) == {"plain": 60}
    plain.die()
    assert tally(crowd(proxy, 6, 10)) == {"spare": 60}
    plain.revive()
    wait_for(lambda: ask_afresh(t, proxy, 1) == ["plain"], scaled(8), "the plain server to be used again")
    assert tally(crowd(proxy, 6, 10)) == {"plain": 60}
    plain.die()
    spare.die()
    client = t.client(proxy)
    expect_status(client.get("/"), 502)
    for _ in range(10):
        expect_status(client.get("/"), 502, 503)
    plain.revive()
    wait_for(lambda: client.get("/").status == 200, scaled(8), "service after the plain server is back")
    assert not first.requests()


# -- sticky sessions ------------------------------------------------------------------------------------------------


def cookie_of(response):
    """The "name=value" of the one Set-Cookie."""
    cookies = response.all("set-cookie")
    assert len(cookies) == 1, cookies
    return cookies[0].split(";")[0]


def test_sticky_cookie_binds_a_client(t):
    """Issue 3, item 5: the cookie leads back to the server on any worker; a forged one does not; a dead server's is replaced."""
    a, b, c = (Mortal(t, name) for name in "abc")
    proxy = t.pool([server(a), server(b), server(c)], {"sticky": {"type": "insert", "cookie": "srv"}}, workers=2)
    for origin in (a, b, c):
        client = t.client(proxy)
        response = wait_for(lambda client=client, origin=origin: (lambda r: who(r) == origin.name and r)(client.get("/")), scaled(8), origin.name)
        cookie = cookie_of(response)
        assert cookie.startswith("srv=")
        assert tally(ask_afresh(t, proxy, 10, "/", f"Cookie: x=1; {cookie}; y=2")) == {origin.name: 10}
        assert not client.get("/", "Cookie: " + cookie).all("set-cookie"), "a client that is bound needs no new cookie"
        forged = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
        assert len(set(ask_afresh(t, proxy, 6, "/", "Cookie: " + forged))) == 3, "a forged cookie binds"
    c.die()
    response = t.client(proxy).get("/", "Cookie: " + cookie)
    assert who(response) in "ab" and cookie_of(response) != cookie


def test_drain_keeps_its_sessions_only(t):
    """Issue 3, items 2 and 5: a server that drains gets the requests that are bound to it, and no others."""
    a, b, _ = trio(t)
    sticky = {"sticky": {"type": "insert", "secret": "one for both"}}
    client = t.client(t.pool([a, b], sticky))
    cookie = cookie_of(wait_for(lambda: (lambda r: who(r) == "a" and r)(client.get("/")), scaled(8), "an answer of a"))
    proxy = t.pool([server(a, drain=True), server(b)], sticky, workers=2)
    assert tally(ask_afresh(t, proxy, 10)) == {"b": 10}
    assert tally(ask_afresh(t, proxy, 10, "/", "Cookie: " + cookie)) == {"a": 10}
    routed = t.pool([server(a, drain=True, route="r1"), server(b, route="r2")], {"sticky": {"type": "route", "cookie": "JSESSIONID"}})
    assert tally(ask_afresh(t, routed, 5, "/", "Cookie: JSESSIONID=0123.r1")) == {"a": 5}
    assert tally(ask_afresh(t, routed, 5, "/", "Cookie: JSESSIONID=0123.r3")) == {"b": 5}


# -- max_conns and the queue ----------------------------------------------------------------------------------------


def test_max_conns_is_exact_over_all_workers(t):
    """Issue 3, item 7: hundreds of clients over two workers: the origin never has eleven at a time, and all are answered."""
    gate = Gate(hold=0.005)
    proxy = t.pool([server(t.origin(gate, name="a"), max_conns=10)], {"queue": {"size": 1000}}, workers=2)
    clients = [t.client(proxy, timeout=scaled(15)) for _ in range(300)]
    for _ in range(2):
        for client in clients:
            send_get(client)
        for client in clients:
            assert who(client.response()) == "a"
    assert gate.most == 10, f"{gate.most} at a time"


def full_pool(t, upstream=None, max_conns=1, **top):
    """(gate, proxy, the clients that hold all places) of one origin at its limit."""
    gate = Gate(is_open=False)
    proxy = t.pool([server(t.origin(gate, name="a"), max_conns=max_conns)], upstream, **top)
    held = [t.client(proxy, timeout=scaled(15)) for _ in range(max_conns)]
    for client in held:
        send_get(client, "/held")
    gate.wait_inside(max_conns)
    return gate, proxy, held


def waiting_client(t, proxy, data):
    """Sends a request that will wait; gives the proxy a moment to read it, so that those that follow come later."""
    client = t.client(proxy, timeout=scaled(15))
    client.send(data)
    time.sleep(scaled(0.02))
    return client


def test_queue_is_first_come_first_served(t):
    """Issue 3, item 7: those that wait are served in the order of their coming; one that comes meanwhile does not overtake."""
    gate, proxy, held = full_pool(t, {"queue": {"size": 100}})
    waiting = [waiting_client(t, proxy, b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i) for i in range(15)]
    gate.open()
    for client in held + waiting:
        who(client.response())
    order = [request.target for request in t.origins[0].requests()]
    assert order == ["/held", *(f"/{i}" for i in range(15))], order


def test_full_queue_refuses(t):
    """16, issue 3, item 7: who finds no place to wait gets 503 with Retry-After at once; those that wait are served."""
    gate, proxy, held = full_pool(t, {"queue": {"size": 2}}, workers=2)
    clients = [t.client(proxy, timeout=scaled(15)) for _ in range(8)]
    answered = []

    def one(number):
        send_get(clients[number])
        response = clients[number].response()
        answered.append(response)
        if len(answered) == 6:
            gate.open()
        return response
    responses = in_threads(8, one)
    refused = [response for response in responses if response.status == 503]
    assert len(refused) == 6 and all(response.all("Retry-After") for response in refused), responses
    assert [r.status for r in answered[6:]] == [200, 200] and held[0].response().status == 200


def test_queue_timeout(t):
    """16, issue 3, item 7: who waits longer than queue.timeout gets 503; a place that is freed later is free."""
    gate, proxy, held = full_pool(t, {"queue": {"size": 10, "timeout": "500ms"}})
    begun = time.monotonic()
    client = t.client(proxy)
    response = expect_status(client.get("/late"), 503)
    assert 0.45 < time.monotonic() - begun < scaled(4) and response.all("Retry-After"), (time.monotonic() - begun, response)
    gate.open()
    who(held[0].response())
    assert who(client.get("/")) == "a"
    assert not [r for r in t.origins[0].requests() if r.target == "/late"]


def test_no_queue_answers_at_once(t):
    """16: 503 with Retry-After when all are at max_conns and nothing is said of a queue."""
    gate, proxy, held = full_pool(t, max_conns=3, workers=2)
    client = t.client(proxy)
    for _ in range(5):
        assert expect_status(client.get("/"), 503).all("Retry-After")
    gate.open()
    for client in held:
        who(client.response())


def test_leaving_the_queue(t):
    """59, issue 3, item 7: who goes away while waiting never reaches the origin and frees its place, by FIN or by RST."""
    gate, proxy, held = full_pool(t, {"queue": {"size": 1}})
    before = proxy.descriptors()
    for ending in ("close", "reset") * 3:
        leaver = waiting_client(t, proxy, b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n")
        getattr(leaver, ending)()
        idle_gone(proxy, before, f"the client that left by {ending}")
    stayer = waiting_client(t, proxy, b"GET /stayed HTTP/1.1\r\nHost: a\r\n\r\n")
    gate.open()
    who(held[0].response())
    who(stayer.response())
    assert [request.target for request in t.origins[0].requests()] == ["/held", "/stayed"]


def test_a_failed_try_waits_in_the_queue(t):
    """Issue 3, items 6 and 7: whose server refuses or resets while all others are at max_conns waits for them, its body too."""
    for bad in (server(dead_address(), max_fails=0), server(t.origin(lambda conn, _: conn.reset(), name="r"), max_fails=0)):
        gate = Gate(is_open=False)
        good = t.origin(gate, name="g")
        proxy = t.pool([bad, server(good, max_conns=1)], {"queue": {"size": 10}})
        clients = [t.client(proxy, timeout=scaled(15)) for _ in range(4)]
        for client in clients:
            client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        gate.wait_inside(1)
        gate.open()
        assert [who(client.response()) for client in clients] == ["g"] * 4
        assert [request.body for request in good.requests()] == [b"hello"] * 4


def test_one_that_waits_after_a_failure_stops_nobody(t):
    """Issue 3, item 7: a request that may not go to a server again lets others go there, those that came later too, and gets the next place."""
    first, gates = Switch(reset), (Gate(is_open=False), Gate())
    origins = t.origin(first, name="a"), t.origin(gates[0], name="b")
    proxy = t.pool([server(origins[0], max_conns=1, max_fails=0), server(origins[1], max_conns=1)], {"queue": {"size": 10}}, workers=2)
    one, two = t.client(proxy, timeout=scaled(15)), t.client(proxy, timeout=scaled(15))
    send_get(one, "/holds")  # fails at a, and stays at b
    gates[0].wait_inside(1)
    send_get(two, "/waits")  # fails at a, and waits for b
    wait_for(lambda: len(origins[0].requests()) == 2, scaled(8), "the second request at a")
    time.sleep(scaled(0.05))
    first.now = gates[1]
    begun = time.monotonic()
    assert tally(crowd(proxy, 4, 10)) == {"a": 40}
    assert time.monotonic() - begun < scaled(4)
    gates[0].open()
    assert (who(one.response()), who(two.response())) == ("b", "b")


def test_bodies_wait_in_the_queue(t):
    """53, issue 3, item 7: request bodies of both codings wait with their requests and arrive whole, however long that takes."""
    gate, proxy, held = full_pool(t, {"queue": {"size": 10}}, client_body_timeout="600ms")
    body = bytes(range(256)) * 2000
    long = t.client(proxy, timeout=scaled(15))
    coded = t.client(proxy, timeout=scaled(15))

    def send(number):
        if number == 0:
            long.send(b"POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        else:
            coded.send(b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, 3000, [b"X-Sum: 1"]))

    def release():
        time.sleep(scaled(0.9))
        gate.open()
    in_threads(3, lambda number: release() if number == 2 else send(number))
    assert [who(client.response("POST")) for client in (*held, long, coded)] == ["a"] * 3
    posts = {request.target: request for request in t.origins[0].requests()[1:]}
    assert posts["/l"].body == body and posts["/c"].body == body and posts["/c"].trailers == [("X-Sum", "1")]


def test_pipelined_requests_wait_one_after_another(t):
    """56, issue 3, item 7: answers come in the order of the requests, though each of them waits."""
    gate = Gate(hold=0.002)
    proxy = t.pool([server(t.origin(gate, name="a"), max_conns=1)], {"queue": {"size": 20}}, workers=2)
    clients = [t.client(proxy, timeout=scaled(15)) for _ in range(6)]
    for number, client in enumerate(clients):
        client.send(b"".join(b"GET /%d.%d HTTP/1.1\r\nHost: a\r\n\r\n" % (number, i) for i in range(20)))
    for number, client in enumerate(clients):
        assert [client.response().body for _ in range(20)] == [b"a /%d.%d" % (number, i) for i in range(20)]
    assert gate.most == 1


def test_graceful_stop_serves_the_queue(t):
    """7 of issue 2: who waits in the queue is served before the end; a second signal ends it at once, cleanly."""
    gate, proxy, held = full_pool(t, {"queue": {"size": 10}}, workers=2)
    waiting = [waiting_client(t, proxy, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(6)]
    proxy.send_signal(signal.SIGQUIT)
    gate.open()
    for client in held + waiting:
        assert who(client.response()) == "a"
        client.close()
    assert proxy.wait(5) == 0
    gate, proxy, _ = full_pool(t, {"queue": {"size": 10}}, workers=2)
    waiting = [waiting_client(t, proxy, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(6)]
    proxy.send_signal(signal.SIGQUIT)
    time.sleep(scaled(0.1))
    proxy.send_signal(signal.SIGTERM)
    assert proxy.wait(5) == 0
    gate.open()


def test_places_are_whole_after_cancellations_at_every_moment(t):
    """59, issue 3, item 7: clients that go at any time, waiting, sending or reading, leave nothing behind: all places can be used again."""
    def script(conn, request):
        if request.target == "/slow":
            time.sleep(0.003)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 9000)
        if request.target == "/slow":
            time.sleep(0.003)
        conn.send(b"x" * 11000)
    calm = Gate(is_open=False)
    origin = t.origin(lambda conn, request: calm(conn, request) if request.target == "/calm" else script(conn, request), name="a")
    proxy = t.pool([server(origin, max_conns=3)], {"queue": {"size": 1000, "timeout": "10s"}}, workers=2)
    before = proxy.descriptors()
    requests = (b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
                b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12345")

    def leave(number):
        for step in range(40):
            with RawClient(proxy.address, timeout=scaled(8)) as client:
                client.send(requests[(step + number) % 3])
                time.sleep(0.0004 * ((step * 7 + number) % 20))
                if step % 3:
                    client.reset()
    in_threads(8, leave)
    held = [t.client(proxy, timeout=scaled(15)) for _ in range(4)]
    for client in held:
        send_get(client, "/calm")
    calm.wait_inside(3)
    calm.open()
    for client in held:
        who(client.response())
    assert calm.most == 3
    for client in held:
        client.close()
    # Each worker keeps idle connections of its own.
    wait_for(lambda: proxy.descriptors() <= before + 20, scaled(5), f"descriptors to be closed, {before} before")
