# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the running process may do: user, groups and capabilities of every thread, low ports, chroot, limits, files that are refused. Most need
root; ports below 1024 are opened in a network namespace of the test's own (unshare, nsenter), so that nothing of the machine is touched.
"""

import grp
import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path

from harness import Fairlead, Skip, document, expect_status, find_balancers, find_binary, free_port, is_sanitized, scaled
from wire import wait_for

NET_BIND_SERVICE = 1 << 10
PLAIN = [{"path": "/", "respond": {"body": "here\n"}}]


def need_root():
    if os.geteuid() != 0:
        raise Skip("not root")


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Skip(f"no {tool}")


NOBODY = ["setpriv", "--reuid=nobody", "--regid=daemon", "--clear-groups"]


def need_nobody():
    """That nobody may execute the binary: it may be below a directory that only root enters."""
    need_root()
    need("setpriv")
    for path in find_binary(), find_balancers():
        if subprocess.run(NOBODY + ["test", "-x", path], check=False).returncode != 0:
            raise Skip(f"nobody may not execute {path}")


def threads(pid):
    """The status files of all threads as dicts."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found.append(dict(line.split(":\t", 1) for line in lines if ":\t" in line))
    assert len(found) >= 3, found
    return found


def assert_identity(proxy, user, group, capabilities, groups=None):
    """Every thread: all four ids, exactly these capabilities in every set, and no way to gain others."""
    uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    for thread in threads(proxy.process.pid):
        assert thread["Uid"].split() == [str(uid)] * 4, thread
        assert thread["Gid"].split() == [str(gid)] * 4, thread
        assert sorted(thread["Groups"].split()) == sorted(str(one) for one in groups or [gid]), thread
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
            assert int(thread[name], 16) == capabilities, (name, thread)
        assert thread["NoNewPrivs"].strip() == "1", thread


def give(path, user):
    os.chown(path, pwd.getpwnam(user).pw_uid, -1)


def says(proxy, text):
    wait_for(lambda: text in proxy.stderr(), scaled(8), f"{text} in the error log")


def refuses(t, config, *sentences):
    proxy = t.start(config, wait=False)
    assert proxy.wait(8) == 1, proxy.stderr()
    proxy.checked = True
    for sentence in sentences:
        assert sentence in proxy.stderr(), proxy.stderr()


def test_all_is_given_up(t):
    """`user`: no thread keeps a capability, and the log says what was kept."""
    need_root()
    group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    upstreams = {"g": {"servers": [{"address": t.origin().address}], "health": {"type": "tcp"}}}
    proxy = t.proxy(locations=[{"path": "/", "proxy_pass": "http://g"}], upstreams=upstreams, user="nobody", workers=2)
    expect_status(t.client(proxy).get("/"), 200)
    assert_identity(proxy, "nobody", group, 0)
    says(proxy, f"privileges user=nobody group={group} ")
    says(proxy, "capabilities=none no_new_privs=1")
    says(proxy, "restrictions=yes")


def test_the_group_may_be_another(t):
    """`group`: it is the group of every thread; the user's groups are those of the system's table with it in the place of the user's own."""
    need_root()
    proxy = t.proxy(t.origin(), user="nobody", group="daemon")
    expect_status(t.client(proxy).get("/"), 200)
    assert_identity(proxy, "nobody", "daemon", 0)


def test_the_configured_capability_is_kept(t):
    """`capabilities`: kept in all sets, the ambient one included, so that a program executed for an upgrade has it."""
    need_root()
    group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    proxy = t.proxy(t.origin(), user="nobody", capabilities=["CAP_NET_BIND_SERVICE"], workers=2)
    expect_status(t.client(proxy).get("/"), 200)
    assert_identity(proxy, "nobody", group, NET_BIND_SERVICE)
    says(proxy, "capabilities=net_bind_service no_new_privs=1")


def test_ambient_capabilities_of_an_unprivileged_start(t):
    """As systemd starts it with User= and AmbientCapabilities=: what is configured of them is kept, the rest is given up."""
    need_nobody()
    for capabilities, expected in (["net_bind_service"], NET_BIND_SERVICE), ([], 0):
        top = {"capabilities": capabilities} if capabilities else {}
        config = t.config(PLAIN, **top)
        path = t.dir / "unprivileged.conf"
        path.write_text(document(config))
        kept = "+net_bind_service,+net_raw"
        proxy = Unprivileged(path, t, config, NOBODY + [f"--inh-caps={kept}", f"--ambient-caps={kept}"])
        expect_status(t.client(proxy).get("/"), 200)
        for thread in threads(proxy.process.pid):
            for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(thread[name], 16) == expected, (name, thread)
            assert thread["NoNewPrivs"].strip() == "1", thread
        proxy.finish()


class Unprivileged(Fairlead):
    """A proxy behind a program that changes what it may do, and then executes it."""

    def __init__(self, path, t, config, before, wait=True):
        self.before = before
        addresses = [("127.0.0.1", int(site["listen"][0].rpartition(":")[2])) for site in config["sites"]]
        balancers = find_balancers()
        arguments = before + [find_binary(), "-c", str(path)] + (["-b", balancers] if balancers else [])
        super(Fairlead, self).__init__(arguments, t.dir, f"behind{len(t.children)}")
        self.addresses, self.address, self.directory, self.checked = addresses, addresses[0], t.dir, False
        self.config_path, self.pid, self.adopted = path, self.process.pid, []
        t.children.append(self)
        if wait:
            self.await_ready()


def test_an_unprivileged_start_ignores_what_needs_root(t):
    """`user` of another and `chroot` without root: a warning each, and it serves."""
    need_nobody()
    config = t.config(PLAIN, user="root", chroot="/")
    path = t.dir / "unprivileged.conf"
    path.write_text(document(config))
    proxy = Unprivileged(path, t, config, NOBODY)
    expect_status(t.client(proxy).get("/"), 200)
    says(proxy, '"user" has no effect')
    says(proxy, '"chroot" has no effect')


def test_root_without_a_user_is_warned_of(t):
    """No `user` as root: it serves, and says what that means."""
    need_root()
    proxy = t.proxy(t.origin())
    expect_status(t.client(proxy).get("/"), 200)
    says(proxy, "running as root")
    assert all(thread["NoNewPrivs"].strip() == "1" for thread in threads(proxy.process.pid))


# -- ports below 1024, in a network namespace -----------------------------------------------------------------------


def in_namespace(t, capabilities, user="nobody"):
    """(proxy, function that asks it) for port 80 of a namespace of its own; the proxy is the namespace's only process."""
    need_root()
    need("unshare", "nsenter", "ip", "curl")
    config = t.config(PLAIN, **capabilities, site={"listen": ["127.0.0.1:80"]}, user=user)
    path = t.dir / "low.conf"
    path.write_text(document(config))
    shell = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0:
        raise Skip("no network namespaces")
    return config, path, shell


def ask(t, proxy, port):
    return t.command("nsenter", f"--net=/proc/{proxy.process.pid}/ns/net", "curl", "-s", "-m", "5", f"http://127.0.0.1:{port}/")


def test_a_low_port_is_opened_before_the_drop(t):
    """Root opens port 80 and serves it as nobody without any capability."""
    config, path, shell = in_namespace(t, {})
    proxy = Unprivileged(path, t, config, shell, wait=False)
    says(proxy, "capabilities=none no_new_privs=1")
    wait_for(lambda: ask(t, proxy, 80)[1] == b"here\n", scaled(8), "an answer from port 80")
    assert all(int(thread["CapEff"], 16) == 0 for thread in threads(proxy.process.pid))


def test_a_low_port_without_root(t):
    """An unprivileged start opens port 80 with net_bind_service, and without it says that it may not."""
    config, path, shell = in_namespace(t, {"capabilities": ["net_bind_service"]})
    need_nobody()
    # In a new namespace every port is "low" up to 1023, whatever the machine's setting is.
    kept = ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]
    proxy = Unprivileged(path, t, config, shell + NOBODY + kept, wait=False)
    wait_for(lambda: ask(t, proxy, 80)[1] == b"here\n", scaled(8), "an answer from port 80")
    proxy.finish()
    refused = Unprivileged(path, t, config, shell + NOBODY, wait=False)
    assert refused.wait(8) == 1 and "127.0.0.1:80" in refused.stderr(), refused.stderr()
    refused.checked = True


# -- chroot ---------------------------------------------------------------------------------------------------------


def jail(t, **top):
    """A directory as a root, with a link that makes its paths the same inside, and the configuration of a proxy in it."""
    if is_sanitized():
        raise Skip("a sanitizer needs /proc")
    home = t.dir / "jail"
    for name in "", "logs", "run":
        (home / name).mkdir()
        os.chmod(home / name, 0o755)
    for name in "logs", "run":
        give(home / name, "nobody")
    (home / str(home.parent).lstrip("/")).mkdir(parents=True)
    (home / str(home).lstrip("/")).symlink_to("/")
    return home, t.config(PLAIN, user="nobody", chroot=str(home), pid=str(home / "run/pid"),
                          log={"access": str(home / "logs/access.log"), "error": "stderr"}, **top)


def test_chroot_serves_and_reopens_logs(t):
    """`chroot`: requests are answered, a renamed log is made anew inside, the pid file goes at the end."""
    need_root()
    home, config = jail(t)
    proxy = t.start(config)
    expect_status(t.client(proxy).get("/"), 200)
    assert os.readlink(f"/proc/{proxy.process.pid}/root") == str(home)
    assert os.readlink(f"/proc/{proxy.process.pid}/cwd") == str(home)
    log = home / "logs/access.log"
    wait_for(lambda: log.read_text().count("\n") >= 1, scaled(8), "the first log line")
    log.rename(home / "logs/access.log.1")
    proxy.send_signal(signal.SIGUSR1)
    wait_for(log.exists, scaled(8), "the new log")
    expect_status(t.client(proxy).get("/again"), 200)
    wait_for(lambda: "/again" in log.read_text(), scaled(8), "the second request in the new log")
    assert log.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert "cannot be opened or removed there" not in proxy.stderr(), proxy.stderr()
    assert (home / "run/pid").read_text() == f"{proxy.process.pid}\n"
    proxy.finish()
    assert not (home / "run/pid").exists()


def test_chroot_tells_what_is_not_inside(t):
    """`chroot`: a log outside goes on as it was opened, and the start warns that it cannot be reopened."""
    need_root()
    _, config = jail(t)
    config["log"]["access"] = str(t.dir / "outside.log")
    proxy = t.start(config)
    expect_status(t.client(proxy).get("/"), 200)
    says(proxy, f"not to be found inside the chroot, so it cannot be opened or removed there path={t.dir}/outside.log")


def test_chroot_refuses_a_directory_of_the_user(t):
    """`chroot`: a directory that the user could write to is refused, at the start and by -t."""
    need_root()
    home, config = jail(t)
    give(home, "nobody")
    refuses(t, config, f'chroot "{home}" can be written by user "nobody"', "chown root:root")
    status, _, err, _ = t.test_config(document(config), "-t")
    assert status == 1 and "can be written by user" in err, err


def test_logs_of_the_user_are_reopened(t):
    """Logs that root made belong to the user, so that they can be opened again where they are."""
    need_root()
    log = t.dir / "access.log"
    proxy = t.start(t.config(PLAIN, user="nobody", log={"access": str(log)}))
    expect_status(t.client(proxy).get("/before"), 200)
    assert log.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    proxy.send_signal(signal.SIGUSR1)
    says(proxy, "reopening logs")
    expect_status(t.client(proxy).get("/after"), 200)
    wait_for(lambda: "/after" in log.read_text(), scaled(8), "the request in the log")
    assert "cannot be" not in proxy.stderr(), proxy.stderr()


# -- limits, files, pid file ----------------------------------------------------------------------------------------


def test_limits_are_told(t):
    """The start says the limits, and how many clients fit where they are too low."""
    config = t.config(PLAIN, worker_connections=2000, rlimit_files=700)
    proxy = t.start(config)
    limits = Path(f"/proc/{proxy.process.pid}/limits").read_text()
    assert re.search(r"Max open files +700 ", limits), limits
    says(proxy, "limits files=700 memlock=")
    says(proxy, "needed=4512 clients_that_fit=94 clients_configured=2000")


def test_a_file_that_all_can_write_is_refused(t):
    """The main file's name and what to do are told; -I reads it all the same."""
    path = t.dir / "open.conf"
    config = t.config(PLAIN)
    path.write_text(document(config))
    os.chmod(path, 0o666)
    status, _, err = t.command(find_binary(), "-t", "-c", str(path), "-b", find_balancers())
    assert status == 1 and f'"{path}" can be written by everybody' in err and f"chmod o-w {path}" in err, err
    status, _, err = t.command(find_binary(), "-t", "-I", "-c", str(path), "-b", find_balancers())
    assert status == 0, err


def test_a_directory_of_sites_that_all_can_write_is_refused(t):
    """A site linked from a directory where everybody may put files is refused, unless the main file allows it."""
    enabled = t.dir / "enabled"
    enabled.mkdir()
    os.chmod(enabled, 0o777)
    text = document(t.config(PLAIN, sites_enabled=str(enabled)))
    status, _, err, path = t.test_config(text, "-t")
    assert status == 1 and f'"{enabled}" can be written by everybody' in err and path in err, err
    status, _, err, _ = t.test_config(text + "allow_insecure_files = true;\n", "-t")
    assert status == 0, err


def test_secrets_are_shown_only_twice(t):
    """-T hides secrets and says so; -TT shows them."""
    text = document(t.config([{"path": "/", "proxy_pass": "http://g"}], upstreams={
        "g": {"servers": [{"address": "127.0.0.1:1"}], "sticky": {"type": "insert", "secret": "hush-hush"}}}))
    status, out, err, _ = t.test_config(text, "-T")
    assert status == 0 and "hush" not in out + err and 'secret = "(not shown)"' in out, (out, err)
    status, out, err, _ = t.test_config(text, "-TT")
    assert status == 0 and 'secret = "hush-hush"' in out, (out, err)


def test_the_pid_file_of_a_running_one_is_left(t):
    """A second start with the same pid file ends with a sentence, and the first goes on; a stale one is overwritten."""
    pid = t.dir / "pid"
    pid.write_text("1\n")
    first = t.start(t.config(PLAIN, pid=str(pid)))
    assert pid.read_text() == f"{first.process.pid}\n"
    refuses(t, t.config(PLAIN, pid=str(pid), site={"listen": [f"127.0.0.1:{free_port()}"]}), f"is that of process {first.process.pid}")
    assert pid.read_text() == f"{first.process.pid}\n"
    expect_status(t.client(first).get("/"), 200)
    first.finish()
    assert not pid.exists()


def test_all_ways_of_a_ring_work_restricted(t):
    """Bodies both ways with multishot and without, through a checked server: nothing that is needed is refused."""
    body = os.urandom(300_000)
    for multishot in True, False:
        origin = t.origin()
        upstreams = {"g": {"servers": [{"address": origin.address}], "health": {"type": "http", "interval": "100ms"}}}
        proxy = t.proxy(locations=[{"path": "/", "proxy_pass": "http://g"}], upstreams=upstreams, client_max_body_size="1m",
                        engine={"multishot_accept": multishot, "multishot_recv": multishot})
        expect_status(t.client(proxy).get("/", method="POST", body=body), 200)
        says(proxy, "restrictions=yes")
        proxy.finish()
        assert proxy.counters().get("enter_errors") == 0, proxy.counters()
