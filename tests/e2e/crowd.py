# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the tests of pools share: origins that can die and come back on their port, that hold requests behind a gate or count how many they have
at a time; many clients at once; who answered how often. Threads are daemons, each bounded by its client's timeout.
"""

import threading
import time
from collections import Counter

from client import RawClient
from harness import free_port, scaled
from wire import Ended, wait_for


class Switch:
    """A script that can be told what to do while it runs: `now` is any other script."""

    def __init__(self, script):
        self.now = script

    def __call__(self, conn, request):
        self.now(conn, request)


class Gate:
    """
    A script that names its origin, but only once the gate is open, after `hold` seconds. It counts the requests that it has at a time: they
    end before their answer begins, so that a proxy that keeps a limit never seems to break it.
    """

    def __init__(self, is_open=True, hold=0.0, status=200):
        self.hold, self.status = hold, status
        self.lock = threading.Lock()
        self.event = threading.Event()
        self.inside = self.most = self.total = 0
        if is_open:
            self.event.set()

    def __call__(self, conn, request):
        with self.lock:
            self.inside += 1
            self.total += 1
            self.most = max(self.most, self.inside)
        self.event.wait(scaled(18))
        time.sleep(self.hold)
        with self.lock:
            self.inside -= 1
        conn.respond(self.status, named(conn, request))

    def open(self):
        self.event.set()

    def shut(self):
        self.event.clear()

    def wait_inside(self, count, seconds=8.0):
        try:
            wait_for(lambda: self.inside == count, scaled(seconds), f"{count} requests at the origin")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.inside} are there") from None


def named(conn, request):
    return f"{conn.origin.name} {request.target}".encode("latin-1")


def answer_named(conn, request):
    conn.respond(body=named(conn, request))


def reset(conn, _request):
    conn.reset()


def answer_status(status):
    def script(conn, request):
        conn.respond(status, b"the server's own " + named(conn, request), [f"X-From: {conn.origin.name}"])
    return script


class Mortal:
    """An origin on a port of its own that dies (its port refuses, its connections end) and comes back."""

    def __init__(self, t, name, script=answer_named):
        self.t, self.name, self.script = t, name, script
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.lives = []
        self.revive()

    def revive(self):
        self.lives.append(self.t.origin(self.script, name=self.name, port=self.port))

    def die(self):
        life = self.lives[-1]
        life.close_listener()
        for conn in life.open_connections():
            conn.close()

    def requests(self):
        return [request for life in self.lives for request in life.requests()]


def trio(t, script=answer_named, names="abc"):
    """Origins that name themselves."""
    return [t.origin(script, name=name) for name in names]


def server(origin, **settings):
    """An entry of `servers`; an origin, or an address as text."""
    return {"address": origin if isinstance(origin, str) else origin.address, **settings}


def who(response):
    """Which origin answered."""
    assert response.status == 200 and response.complete, f"no good answer: {response}"
    return response.body.split(b" ")[0].decode()


def ask(client, count, target="/", *fields):
    """The names of those that answered `count` requests on one connection, in order."""
    return [who(client.get(target, *fields)) for _ in range(count)]


def tally(names):
    return dict(sorted(Counter(names).items()))


def ask_afresh(t, proxy, count, target="/", *fields):
    """Likewise, each on a connection of its own, so that all workers have their part."""
    names = []
    for _ in range(count):
        with t.client(proxy) as client:
            names.append(who(client.get(target, *fields)))
        t.clients.remove(client)
    return names


def in_threads(count, work, seconds=18.0):
    """work(number) in `count` threads; their results in order. The first exception is raised here."""
    results, errors = [None] * count, []

    def run(number):
        try:
            results[number] = work(number)
        except (AssertionError, Ended, OSError) as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    deadline = time.monotonic() + scaled(seconds)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.01))
        assert not thread.is_alive(), "a client hangs"
    if errors:
        raise AssertionError(f"{len(errors)} of {count} threads failed, the first with {errors[0]!r}")
    return results


def crowd(proxy, n_clients, n_requests, target="/", *fields):
    """Many clients at once, each on its connection; the names of all that answered."""
    def one(_):
        with RawClient(proxy.address, timeout=scaled(15)) as client:
            return ask(client, n_requests, target, *fields)
    return [name for names in in_threads(n_clients, one) for name in names]


def send_get(client, target="/"):
    client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())


def log_lines(proxy, text):
    return [line for line in proxy.stderr().splitlines() if text in line]


def wait_log(proxy, text, count=1, seconds=8.0):
    return wait_for(lambda: len(log_lines(proxy, text)) >= count and log_lines(proxy, text), scaled(seconds),
                    f"{count} lines with \"{text}\"")


def load(proxy, until, errors):
    """A client that asks until the time has come; every answer must be good."""
    def work(number):
        count = 0
        while time.monotonic() < until:
            with RawClient(proxy.address, timeout=scaled(8)) as client:
                for _ in range(50):
                    response = client.get(f"/{number}")
                    count += 1
                    if response.status != 200 or not response.complete:
                        errors.append(repr(response)[:200])
        return count
    return work


def flap(t, proxy, work, kill, revive):
    """Runs eight clients while the main thread kills and revives."""
    results = []
    runner = threading.Thread(target=lambda: results.append(in_threads(8, work)), daemon=True)
    runner.start()
    while runner.is_alive():
        time.sleep(0.25)
        kill()
        time.sleep(0.15)
        revive()
    runner.join()
    assert results and sum(results[0]) > 200, "the clients did not get through"
