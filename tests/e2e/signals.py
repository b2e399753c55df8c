# SPDX-License-Identifier: GPL-3.0-or-later
"""
`fairlead -s`: a second process finds the first by the configuration's pid file and tells it what to do; what it says when it cannot.
And the other switches of the command line that are about people: -q, -V.
"""

import os
import subprocess

from harness import document, expect_status, find_balancers, find_binary, scaled
from wire import wait_for


def start(t, **top):
    """A running proxy with a pid file that it has written."""
    config = t.config([{"path": "/", "respond": {"status": 200, "body": "here"}}], pid=str(t.dir / "pid"), **top)
    proxy = t.start(config)
    wait_for(lambda: (t.dir / "pid").read_text().strip() == str(proxy.process.pid), scaled(8), "the pid file")
    return proxy, config


def signal(t, word, path=None, *flags):
    """fairlead -s word; returns (status, stderr)."""
    balancers = find_balancers()
    path = path or t.dir / "fairlead0.conf"
    status, out, err = t.command(find_binary(), "-c", str(path), *(["-b", balancers] if balancers else []), "-s", word, *flags)
    assert out == b"", f"stdout: {out!r}"
    return status, err


def other_config(t, **changes):
    """A configuration beside the running one's."""
    config = t.config([{"path": "/", "respond": {"status": 200}}], pid=str(t.dir / "pid"))
    config.update(changes)
    path = t.dir / "other.conf"
    path.write_text(document(config))
    return path


def test_quit_and_stop_end_it(t):
    """The process ends with status 0, and the one that told it says nothing."""
    for word in ("quit", "stop"):
        proxy, _ = start(t)
        number = len([child for child in t.children if child.name.startswith("fairlead")]) - 1
        assert signal(t, word, t.dir / f"fairlead{number}.conf") == (0, "")
        assert proxy.wait(8) == 0


def test_reopen_begins_new_files(t):
    """After logrotate's rename, lines go to a new file of the old name."""
    log = t.dir / "access.log"
    proxy, _ = start(t, log={"access": str(log)})
    expect_status(t.client(proxy).get("/"), 200)
    wait_for(lambda: log.read_text(), scaled(8), "a line")
    log.rename(t.dir / "access.log.1")
    assert signal(t, "reopen") == (0, "")
    wait_for(log.exists, scaled(8), "a new file")


def test_a_broken_configuration_is_not_sent(t):
    """-s reload tells file and line, ends with 1, and the running one serves on."""
    proxy, config = start(t)
    (t.dir / "fairlead0.conf").write_text(document({**config, "workers": -1}))
    status, err = signal(t, "reload")
    assert status == 1 and "fairlead0.conf:" in err and "[emerg]" in err, err
    (t.dir / "fairlead0.conf").write_text(document({**config, "upstreams": {"a": {"servers": [{"address": "no-such-name.invalid"}]}}}))
    status, err = signal(t, "reload")
    assert status == 1 and "no-such-name.invalid" in err and "[emerg]" in err, err
    expect_status(t.client(proxy).get("/"), 200)
    assert "reload" not in proxy.stderr(), proxy.stderr()


def test_a_good_configuration_is_sent(t):
    """-s reload says nothing, and the running process has heard."""
    proxy, _ = start(t)
    assert signal(t, "reload") == (0, "")
    wait_for(lambda: "reload" in proxy.stderr(), scaled(8), "the log line about it")
    expect_status(t.client(proxy).get("/"), 200)


def test_names_are_not_looked_up_to_stop(t):
    """A server whose name cannot be resolved any more is no reason not to stop."""
    proxy, config = start(t)
    servers = [{"address": "no-such-name.invalid"}, {"address": "other.invalid", "resolve": False}]
    (t.dir / "fairlead0.conf").write_text(document({**config, "upstreams": {"a": {"servers": servers}}}))
    assert signal(t, "quit") == (0, "")
    assert proxy.wait(8) == 0


def test_without_a_pid_file_it_says_what_is_missing(t):
    """In the words of nginx."""
    path = other_config(t)
    pid = t.dir / "pid"
    assert signal(t, "stop", path) == (1, f'fairlead: [error] open() "{pid}" failed (2: No such file or directory)\n')
    pid.write_text("")
    assert signal(t, "stop", path) == (1, f'fairlead: [error] invalid PID number "" in "{pid}"\n')
    status, err = signal(t, "stop", other_config(t, pid=""))
    assert status == 1 and "pid" in err, err


def test_a_process_that_is_not_fairlead_is_left_alone(t):
    """A stale pid file may name anybody."""
    path = other_config(t)
    bystander = t.child(["sleep", "60"], "bystander")
    (t.dir / "pid").write_text(f"{bystander.process.pid}\n")
    wait_for(lambda: open(f"/proc/{bystander.process.pid}/comm").read() == "sleep\n", scaled(8), "the bystander")
    status, err = signal(t, "stop", path)
    assert status == 1 and 'is not fairlead but "sleep"' in err, err
    assert bystander.process.poll() is None
    gone = subprocess.Popen(["true"])
    gone.wait()
    (t.dir / "pid").write_text(f"{gone.pid}\n")
    status, err = signal(t, "quit", path)
    assert status == 1 and err == f"fairlead: [error] kill({gone.pid}, 3) failed (3: No such process)\n", err


def test_a_wrong_word_is_refused(t):
    """Before anything is read."""
    status, err = signal(t, "restart", "/nonexistent")
    assert status == 2 and err == 'fairlead: invalid option: "-s restart"\n', err
    status, err = signal(t, "stop", "/nonexistent", "-t")
    assert status == 2 and err.startswith("usage:"), err


def test_quiet_says_only_what_is_wrong(t):
    """-t -q: nothing, or the findings."""
    path = other_config(t)
    balancers = ["-b", find_balancers()] if find_balancers() else []
    assert t.command(find_binary(), "-c", str(path), *balancers, "-t", "-q") == (0, b"", "")
    path.write_text("workers = -1;")
    status, _, err = t.command(find_binary(), "-c", str(path), *balancers, "-q", "-t")
    assert status == 1 and "other.conf:1" in err, err


def test_the_version_and_how_it_was_built(t):
    """-v is one line, and -V begins with it."""
    status, short, _ = t.command(find_binary(), "-v")
    assert status == 0 and short.startswith(b"fairlead ") and short.count(b"\n") == 1
    status, long, _ = t.command(find_binary(), "-V")
    assert status == 0 and long.startswith(short) and b"fairlead.conf" in long and os.fsencode("compiler") in long
