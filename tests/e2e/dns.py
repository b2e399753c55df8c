# SPDX-License-Identifier: GPL-3.0-or-later
"""
A name server for tests: UDP on 127.0.0.1, one daemon thread, records that the test changes while it runs. It answers A, AAAA and
SRV for the names it was given, NXDOMAIN for all others, and fails as it is told to. Names are compared in lower case.
"""

import socket
import struct
import threading

TYPES = {"A": 1, "AAAA": 28, "SRV": 33}
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split(".") if label) + b"\0"


def encode_data(kind, value):
    if kind == "SRV":
        priority, weight, port, target = value
        return struct.pack("!HHH", priority, weight, port) + encode_name(target)
    return socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, value)


class Dns:
    """`failing` is None, "servfail" or "silent", for every name."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.lock = threading.Lock()
        self.records, self.questions = {}, []
        self.failing = None
        threading.Thread(target=self._serve, daemon=True).start()

    def set(self, name, ttl=0, **records):
        """All records of a name, as A=[...], AAAA=[...], SRV=[(priority, weight, port, target), ...]."""
        with self.lock:
            self.records[name] = [(kind, ttl, value) for kind, values in records.items() for value in values]

    def remove(self, name):
        with self.lock:
            self.records.pop(name, None)

    def asked(self, name=None):
        """How many questions came, for one name or in all."""
        with self.lock:
            return sum(1 for asked in self.questions if name in (None, asked))

    def settings(self, **more):
        """The `resolver` group that leads here; a TTL of 0 is over in a tenth of a second."""
        return {"servers": [f"127.0.0.1:{self.port}"], "timeout": "300ms", "tries": 1, "ttl_min": "100ms", **more}

    def _serve(self):
        while True:
            try:
                question, sender = self.socket.recvfrom(512)
            except OSError:
                return
            if not question:
                return
            with self.lock:
                answer = self._answer(question)
            if answer:
                self.socket.sendto(answer, sender)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1"))
            at += 1 + question[at]
        kind = struct.unpack_from("!H", question, at + 1)[0]
        name = ".".join(labels).lower()
        self.questions.append(name)
        if self.failing == "silent":
            return None
        found = [record for record in self.records.get(name, []) if TYPES[record[0]] == kind and not self.failing]
        code = SERVFAIL if self.failing else NOERROR if name in self.records else NXDOMAIN
        head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
        body = b""
        for record_kind, ttl, value in found:
            data = encode_data(record_kind, value)
            body += struct.pack("!HHHIH", 0xc00c, TYPES[record_kind], 1, ttl, len(data)) + data
        return head + question[12:at + 5] + body

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
