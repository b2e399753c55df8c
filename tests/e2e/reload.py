# SPDX-License-Identifier: GPL-3.0-or-later
"""
Reloading the configuration as clients and origins see it: what is under way ends as it began, what is new follows the new files, what is
known of servers stays known, and a reload that cannot be done changes nothing.
"""

import json
import re
import signal
import threading
from pathlib import Path

from harness import document, expect_status, find_binary, free_port, is_sanitized, parse_listen, scaled
from wire import wait_for

PATIENCE = 8
HELD = b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n"


class Held:
    """An origin that answers with its name; /held waits for the gate, /healthz says what `health` says, /fail is a 500."""

    def __init__(self, t, name="a"):
        self.name, self.gate, self.health = name, threading.Event(), 200
        self.origin = t.origin(self.answer, name=name)
        self.address, self.url = self.origin.address, self.origin.url

    def answer(self, conn, request):
        if request.target == "/healthz":
            conn.respond(self.health)
            return
        if request.target.startswith("/held"):
            self.gate.wait(scaled(PATIENCE))
        conn.respond(500 if request.target == "/fail" else 200, self.name.encode())

    def asked(self, target="/held"):
        return sum(request.target == target for request in self.origin.requests())

    def wait_asked(self, count, target="/held"):
        wait_for(lambda: self.asked(target) >= count, scaled(PATIENCE), f"{count} of {target} at {self.name}")


def group(t, servers, upstream=None, **top):
    """A configuration with one group, and a control socket."""
    entries = [one if isinstance(one, dict) else {"address": one.address} for one in servers]
    return t.config([{"path": "/", "proxy_pass": "http://group"}], upstreams={"group": {"servers": entries, **(upstream or {})}},
                    control={"socket": str(t.dir / "control.sock"), "mode": "0600"}, **top)


def regrouped(config, servers, upstream=None):
    entries = [one if isinstance(one, dict) else {"address": one.address} for one in servers]
    return {**config, "upstreams": {"group": {"servers": entries, **(upstream or {})}}}


def relocated(config, *locations, **site):
    return {**config, "sites": [{**config["sites"][0], "locations": list(locations) or config["sites"][0]["locations"], **site}]}


def status(t):
    ctl = str(Path(find_binary()).parent / "fairleadctl")
    code, out, err = t.command(ctl, "-S", str(t.dir / "control.sock"), "status", "--json")
    assert code == 0, err
    return json.loads(out)


def who(t, proxy, target="/", *fields):
    client = t.client(proxy)
    body = client.get(target, *fields).body.decode()
    client.close()
    return body


def await_answer(t, proxy, body):
    wait_for(lambda: who(t, proxy) == body, scaled(PATIENCE), f"the answer {body!r}")


def hold(t, proxy, origin, count=1):
    """Requests that the origin has and does not answer yet."""
    before = origin.asked()
    clients = [t.client(proxy) for _ in range(count)]
    for client in clients:
        client.send(HELD)
    origin.wait_asked(before + count)
    return clients


# -- What is under way, and what is new -------------------------------------------------------------------------------


def test_a_request_ends_as_it_began(t):
    """Its location, its origin and its response headers are those of its configuration; a new request has the new ones."""
    a, b = Held(t, "a"), Held(t, "b")
    config = t.config([{"path": "/", "proxy_pass": a.url, "set_response_headers": {"X-Edition": "old"}}])
    proxy = t.start(config)
    held, = hold(t, proxy, a)
    proxy.reload(relocated(config, {"path": "/", "proxy_pass": b.url, "set_response_headers": {"X-Edition": "new"}}))
    await_answer(t, proxy, "b")
    assert t.client(proxy).get("/").get("X-Edition") == "new"
    a.gate.set()
    response = expect_status(held.response(), 200)
    assert (response.body, response.get("X-Edition")) == (b"a", "old"), response
    assert held.get("/").body == b"b", "the same connection's next request is a new one"


def test_an_idle_connection_follows(t):
    """A connection that was open before the reload has the new configuration for its next request."""
    a, b = Held(t, "a"), Held(t, "b")
    config = t.config([{"path": "/", "proxy_pass": a.url}], workers=2)
    proxy = t.start(config)
    clients = [t.client(proxy) for _ in range(8)]
    assert {client.get("/").body for client in clients} == {b"a"}
    proxy.reload(relocated(config, {"path": "/", "proxy_pass": b.url}))
    for client in clients:
        wait_for(lambda client=client: client.get("/").body == b"b", scaled(PATIENCE), "the new origin")


def test_transfers_survive_three_reloads(t):
    """An upload and a download of which a part comes between any two reloads are whole."""
    step = threading.Semaphore(0)

    def download(conn, request):
        if request.method == "POST":
            conn.respond(body=request.body)
            return
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
        for _ in range(4):
            step.acquire(timeout=scaled(PATIENCE))
            conn.send(b"d" * 1000)
    origin = t.origin(download)
    config = t.config([{"path": "/", "proxy_pass": origin.url}])
    proxy = t.start(config)
    up, down = t.client(proxy), t.client(proxy)
    up.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n")
    down.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    response = down.head()
    for _ in range(3):
        up.send(b"u" * 1000)
        step.release()
        proxy.reload(config)
    up.send(b"u" * 1000)
    step.release()
    assert b"".join(down.body(response)) == b"d" * 4000
    assert up.response().body == b"u" * 4000


def test_old_snapshots_end_with_their_last_request(t):
    """A request holds its own snapshot over two reloads and no longer."""
    a = Held(t)
    config = group(t, [a])
    proxy = t.start(config)
    held, = hold(t, proxy, a)
    proxy.reload(config)
    proxy.reload(config)
    wait_for(lambda: status(t)["snapshots"] == 2, scaled(PATIENCE), "two snapshots")
    a.gate.set()
    expect_status(held.response(), 200)
    wait_for(lambda: status(t)["snapshots"] == 1, scaled(PATIENCE), "one snapshot")


def test_many_reloads_leave_nothing(t):
    """After 200 reloads in a row there is one snapshot, no descriptor more, and hardly more memory."""
    a = Held(t)
    config = group(t, [a], workers=2)
    proxy = t.start(config)
    assert who(t, proxy) == "a"
    proxy.reload(config)
    wait_for(lambda: status(t)["snapshots"] == 1 and status(t)["clients"] == 0, scaled(PATIENCE), "one snapshot")
    descriptors, memory = proxy.descriptors(), proxy.rss_kib()
    for _ in range(200):
        proxy.send_signal(signal.SIGHUP)
    proxy.reload(config)
    wait_for(lambda: status(t)["snapshots"] == 1, scaled(PATIENCE), "one snapshot")
    wait_for(lambda: proxy.descriptors() <= descriptors, scaled(PATIENCE), f"{descriptors} descriptors, {proxy.descriptors()} are open")
    assert is_sanitized() or proxy.rss_kib() < memory + 4096, (memory, proxy.rss_kib())


# -- What is known of servers -----------------------------------------------------------------------------------------


def test_the_strategy_may_change(t):
    a, b = Held(t, "a"), Held(t, "b")
    config = group(t, [a, b], {"balance": "round_robin"})
    proxy = t.start(config)
    for strategy in ("least_conn", "random", "round_robin"):
        proxy.reload(regrouped(config, [a, b], {"balance": strategy}))
        wait_for(lambda: {who(t, proxy) for _ in range(6)} == {"a", "b"}, scaled(PATIENCE), f"both servers under {strategy}")


def test_a_server_that_a_check_found_down_stays_down(t):
    """So many good checks are wanted that it can serve again only if the reload forgets."""
    a, b = Held(t, "a"), Held(t, "b")
    b.health = 500
    health = {"health": {"type": "http", "path": "/healthz", "interval": "1s", "fall": 1, "rise": 1000}}
    config = group(t, [a, b], health)
    proxy = t.start(config)
    wait_for(lambda: status(t)["servers_serving"] == 1, scaled(PATIENCE), "b to be down")
    b.health = 200
    proxy.reload(regrouped(config, [{"address": a.address, "weight": 2}, b], health))
    assert {who(t, proxy) for _ in range(8)} == {"a"} and status(t)["servers_serving"] == 1


def test_an_ejected_server_stays_out(t):
    a, b = Held(t, "a"), Held(t, "b")
    servers = [{"address": one.address, "max_fails": 1, "fail_timeout": "1h"} for one in (a, b)]
    upstream = {"passive": {"statuses": [500], "max_ejected": 50}}
    config = group(t, servers, upstream)
    proxy = t.start(config)
    out = who(t, proxy, "/fail")
    servers[0]["weight"] = 3
    proxy.reload(regrouped(config, servers, upstream))
    assert {who(t, proxy) for _ in range(10)} == {"a", "b"} - {out}


def test_max_conns_counts_requests_of_both_configurations(t):
    """Held requests of the old one fill the server for the new one, and give their places back."""
    a = Held(t)
    server = {"address": a.address, "max_conns": 2}
    config = group(t, [server], {"queue": {"size": 10}})
    proxy = t.start(config)
    held = hold(t, proxy, a, 2)
    proxy.reload(regrouped(config, [{**server, "weight": 2}], {"queue": {"size": 10}}))
    late = t.client(proxy)
    late.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: status(t)["exchanges"] == 3, scaled(PATIENCE), "a third exchange")
    assert a.asked("/late") == 0, "a third request was sent to a full server"
    a.gate.set()
    for client in [*held, late]:
        expect_status(client.response(), 200)
    a.gate.clear()
    hold(t, proxy, a, 2)
    a.gate.set()


def test_the_queue_goes_on_in_order(t):
    """Requests that wait since before the reload are sent before those that came after it."""
    a = Held(t)
    server, queue = {"address": a.address, "max_conns": 1}, {"queue": {"size": 10}}
    config = group(t, [server], queue)
    proxy = t.start(config)
    clients = hold(t, proxy, a)
    for i in range(6):
        if i == 3:
            proxy.reload(regrouped(config, [{**server, "weight": 2}], queue))
        clients.append(t.client(proxy))
        clients[-1].send(f"GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_for(lambda i=i: status(t)["exchanges"] == i + 2, scaled(PATIENCE), "the request to wait")
    a.gate.set()
    for client in clients:
        expect_status(client.response(), 200)
    assert [request.target for request in a.origin.requests()] == ["/held"] + [f"/{i}" for i in range(6)]


def test_a_sticky_cookie_stays_valid(t):
    """Its secret is made once, not by each reload."""
    a, b = Held(t, "a"), Held(t, "b")
    sticky = {"sticky": {"type": "insert"}}
    config = group(t, [a, b], sticky)
    proxy = t.start(config)
    response = t.client(proxy).get("/")
    cookie = response.all("Set-Cookie")[0].split(";")[0]
    proxy.reload(regrouped(config, [{"address": a.address, "weight": 2}, b], sticky))
    assert {who(t, proxy, "/", "Cookie: " + cookie) for _ in range(8)} == {response.body.decode()}


def test_a_server_that_leaves_is_left(t):
    """It gets no new request, its idle connections are closed, and its last answer comes through."""
    a, b = Held(t, "a"), Held(t, "b")
    config = group(t, [a, b])
    proxy = t.start(config)
    wait_for(lambda: {who(t, proxy) for _ in range(4)} == {"a", "b"}, scaled(PATIENCE), "both")
    proxy.reload(regrouped(config, [b]))
    wait_for(lambda: not a.origin.open_connections(), scaled(PATIENCE), "the idle connections to close")
    assert {who(t, proxy) for _ in range(6)} == {"b"}


def test_weights_change_at_once(t):
    a, b = Held(t, "a"), Held(t, "b")
    config = group(t, [a, b])
    proxy = t.start(config)
    proxy.reload(regrouped(config, [{"address": a.address, "weight": 3}, b]))
    wait_for(lambda: [who(t, proxy) for _ in range(8)].count("a") == 6, scaled(PATIENCE), "six of eight at a")


def test_checks_come_and_go_with_the_files(t):
    a = Held(t)
    health = {"health": {"type": "http", "path": "/healthz", "interval": "50ms", "fast_interval": "50ms", "fall": 1, "rise": 1}}
    config = group(t, [a])
    proxy = t.start(config)
    proxy.reload(regrouped(config, [a], health))
    a.wait_asked(2, "/healthz")
    a.health = 500
    wait_for(lambda: status(t)["servers_serving"] == 0, scaled(PATIENCE), "a to be down")
    proxy.reload(config)
    wait_for(lambda: status(t)["servers_serving"] == 1, scaled(PATIENCE), "a to serve, unchecked")
    expect_status(t.client(proxy).get("/"), 200)


# -- Listeners --------------------------------------------------------------------------------------------------------


def test_listeners_come_and_go(t):
    """The one that leaves answers whoever had connected, also those that had said nothing yet, and refuses others."""
    a = Held(t)
    config = t.config([{"path": "/", "proxy_pass": a.url}], shutdown_idle_timeout="5s")
    proxy = t.start(config)
    old = parse_listen(config["sites"][0]["listen"][0])
    silent, idle = t.client(proxy), t.client(proxy)
    expect_status(idle.get("/"), 200)
    new = f"127.0.0.1:{free_port()}"
    proxy.reload(relocated(config, listen=[new]))
    expect_status(silent.get("/"), 200)
    wait_for(lambda: not proxy._accepts(old), scaled(PATIENCE), "the old port to be refused")
    wait_for(lambda: proxy._accepts(parse_listen(new)), scaled(PATIENCE), "the new port")
    assert who(t, parse_listen(new)) == "a"


def test_a_removed_listener_ends_idle_clients_without_a_reset(t):
    config = t.config([{"path": "/", "respond": {"status": 200, "body": "x"}}], shutdown_idle_timeout="100ms")
    proxy = t.start(config)
    idle = t.client(proxy)
    expect_status(idle.get("/"), 200)
    proxy.reload(relocated(config, listen=[f"127.0.0.1:{free_port()}"]))
    assert idle.ending() == "eof"


def test_a_listener_that_left_may_return(t):
    config = t.config([{"path": "/", "respond": {"status": 200, "body": "x"}}], workers=2)
    proxy = t.start(config)
    other = relocated(config, listen=[f"127.0.0.1:{free_port()}", f"unix:{t.dir}/web.sock"])
    for _ in range(5):
        proxy.reload(other)
        proxy.reload(config)
    wait_for(lambda: proxy._accepts(proxy.address), scaled(PATIENCE), "the first port")
    assert who(t, proxy) == "x"
    proxy.reload(other)
    wait_for(lambda: proxy._accepts(f"{t.dir}/web.sock"), scaled(PATIENCE), "the unix socket")
    assert who(t, f"{t.dir}/web.sock") == "x"


# -- Reloads that cannot be done --------------------------------------------------------------------------------------


def test_a_reload_that_fails_changes_nothing(t):
    """The log has file and line and says that the old one goes on, no descriptor is left open, and a good one works afterwards."""
    config = t.config([{"path": "/", "respond": {"status": 200, "body": "old"}}])
    proxy = t.start(config)
    assert who(t, proxy) == "old"
    proxy.reload(config)
    taken = t.origin()
    here = config["sites"][0]["listen"]
    added = f"127.0.0.1:{free_port()}"
    server = [{"address": "127.0.0.1:1"}]
    broken = [
        (document(config) + "workers = ;\n", r"fairlead0\.conf:\d+"),
        (document(relocated(config, listen=[*here, added, taken.address])), re.escape(taken.address)),
        (document({**config, "upstreams": {"g": {"servers": server, "balance": "nonsense"}}}), r"nonsense.*fairlead0\.conf:\d+"),
        (document({**config, "upstreams": {"g": {"servers": [{"address": "no-such-name.invalid:80"}]}}}), r"no-such-name.*fairlead0\.conf:\d+"),
        (document({**config, "log": {**config.get("log", {}), "access": str(t.dir / "missing" / "access.log")}}), "missing/access.log"),
    ]
    settled = []

    def steady():
        settled.append(proxy.descriptors())
        return settled[-5:] == [settled[-1]] * 5
    wait_for(steady, scaled(PATIENCE), "a steady number of descriptors")
    for text, finding in broken:
        told = len(proxy.stderr())
        proxy.reload(text, good=False)
        assert re.search(finding, proxy.stderr()[told:]), f"{finding} not in {proxy.stderr()[told:]}"
        assert who(t, proxy) == "old"
        wait_for(lambda: proxy.descriptors() == settled[-1], scaled(PATIENCE), f"{settled[-1]} descriptors after {finding}")
    proxy.reload(relocated(config, {"path": "/", "respond": {"status": 200, "body": "new"}}, listen=[*here, added]))
    await_answer(t, proxy, "new")


def test_settings_that_hold_are_told(t):
    config = t.config([{"path": "/", "respond": {"status": 200, "body": "x"}}])
    proxy = t.start(config)
    proxy.reload({**config, "workers": 2})
    wait_for(lambda: "key=workers" in proxy.stderr(), scaled(PATIENCE), "the warning")
    assert who(t, proxy) == "x"


def test_a_damaged_state_file_keeps_nobody_from_serving(t):
    """-t warns of it, a start leaves it aside and says so, a reload does not take it."""
    state = t.dir / "state"
    config = t.config([{"path": "/", "respond": {"status": 200, "body": "x"}}], control={"state": str(state)})
    state.write_text("nonsense\n")
    code, _, said, _ = t.test_config(document(config), "-t")
    assert code == 0 and "[warn] the state file" in said, (code, said)
    proxy = t.start(config)
    assert who(t, proxy) == "x"
    wait_for(lambda: "left aside" in proxy.stderr(), scaled(PATIENCE), "the line about the state file")
    assert not state.exists()
    assert (t.dir / "state.damaged").read_text() == "nonsense\n"
    state.write_text("nonsense\n")
    proxy.reload(config, good=False)
    assert state.exists() and who(t, proxy) == "x"
