#!/usr/bin/python3 -I
# SPDX-License-Identifier: GPL-2.0-or-later
"""A memory server that misbehaves in one way, named by its argument.

What is wrong in the handshake is wrong for ever. What is wrong with requests
is so in the first epochs only, so that a client that gets over it can finish
its work and prove that nothing was damaged.

    tcp-hostile.py PORT MODE
"""
import socket
import struct
import sys
import threading
import time

MAGIC, PAGE = 0x4D4D5248, 4096
HELLO, CHALLENGE, AUTH, WELCOME, REFUSE = 1, 2, 3, 4, 5
READ, WRITE, DISCARD, PING, END, REPLY = 16, 17, 18, 19, 20, 0x80
HDR = struct.Struct("<IBBHIIQII")
OPEN = 1
DISCARDS, MULTICONN, ENOENTS = 1, 2, 4
ENOENT = 0xF0

port, mode = int(sys.argv[1]), sys.argv[2]
BAD_EPOCHS = 20 if mode == "barren" else 2
pages = {}
arriving = {}           # offset: set when the page of an answered write is in
lock = threading.Lock()
epoch = 0
connections = []        # (socket, thread) of the current epoch
fenced = set()          # threads of older ones, also in their handshake


class Over(Exception):
    """The connection is."""


def header(kind, tag=0, length=0, offset=0, extent=0, status=0):
    return HDR.pack(MAGIC, kind, status, 0, tag, length, offset, extent, 0)


def receive(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise Over
        data += more
    return data


def frame(kind, payload):
    return header(kind, length=len(payload)) + payload


def fence(thread):
    """Only @thread is left of all connections when the others, which it returns,
    have ended. They may want the lock for that, which is held."""
    others = [c for c in connections if c[1] is not thread]
    connections[:] = [c for c in connections if c[1] is thread]
    for s, other in others:
        fenced.add(other)
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass    # it is closed already
    return [other for _, other in others]


def handshake(s):
    global epoch
    hello = receive(s, HDR.size + 168)[HDR.size:]
    flags = struct.unpack_from("<I", hello, 4)[0]
    caps = struct.unpack_from("<Q", hello, 8)[0] & (DISCARDS | MULTICONN | ENOENTS)
    if mode == "silent":
        time.sleep(60)
    if mode == "hangup":
        raise Over
    if mode == "http":
        s.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 3)
        raise Over
    if mode == "version":
        s.sendall(frame(REFUSE, struct.pack("<II120s", 1, 0, b"only version 7 \x1b[2J\xff here")))
        raise Over
    version = 9 if mode == "future" else 1
    challenge = frame(CHALLENGE, struct.pack("<HHIQ32s32s", version, 0, 0, caps, b"n" * 32, b""))
    if mode == "trickle":
        for b in challenge:
            s.sendall(bytes([b]))
            time.sleep(0.5)
    s.sendall(challenge)
    receive(s, HDR.size + 32)
    me, others = threading.current_thread(), []
    with lock:
        if me in fenced:
            raise Over
        if flags & OPEN:
            others = fence(me)
            epoch += 1
        my_epoch = epoch
    for other in others:
        other.join()
    limits = (0, 0) if mode == "nothing" else (64, 64)
    incarnation = 0 if mode == "nothing" else 4711
    s.sendall(frame(WELCOME, struct.pack("<QQQQII", incarnation, my_epoch, 1 << 40, 0, *limits)))
    return my_epoch


def serve(s, my_epoch):
    bad = mode if my_epoch <= BAD_EPOCHS else ""
    count = 0
    while True:
        _, kind, _, _, tag, length, offset, extent, _ = HDR.unpack(receive(s, HDR.size))
        count += kind in (READ, WRITE)
        # let some work be done before the mischief
        now = bad if count > 20 else ""
        # the page that the handshake ends with is the only one, and all else
        # is well
        if bad == "barren" and count > 1 and kind in (READ, WRITE, DISCARD):
            receive(s, length)
            continue
        while now == "mute":
            receive(s, 1)
        # tags: of nothing, of a free slot, of the slot's next use
        tag = {"tag": tag ^ 0x80000000, "slot": 1023, "next": tag + 1024}.get(now, tag)
        reply = header(kind | REPLY, tag, offset=offset, extent=extent)
        # what was answered early is done for whoever asks, on any connection:
        # who waits has nothing arriving himself
        for i in range(offset, offset + (extent if kind == DISCARD else 1), PAGE):
            if arriving and kind in (READ, WRITE, DISCARD) and (there := arriving.get(i)):
                there.wait(30)
        if kind == PING:
            s.sendall(reply)
        elif kind == END:
            s.sendall(reply)
            raise Over
        elif kind == DISCARD:
            for i in range(0, extent, PAGE):
                pages.pop(offset + i, None)
            s.sendall(reply)
        elif kind == WRITE:
            # "early" is bad manners, not an error: it goes on for ever
            if mode == "early":
                arriving[offset] = threading.Event()
                s.sendall(reply)
                time.sleep(0.001)
            pages[offset] = receive(s, length)
            if mode == "early":
                arriving.pop(offset).set()
            else:
                s.sendall(reply)
            if now == "twice":
                s.sendall(reply)
        elif kind == READ:
            # one of many, and only once it will not be written again
            if mode == "forgets" and offset == 7 * PAGE and len(pages) > 3000:
                pages.pop(offset, None)
            data = pages.get(offset)
            status = ENOENT if data is None else 0
            data = data or bytes(PAGE)
            size, where, answer = PAGE, offset, READ
            if now == "long":
                size = 2 * PAGE
            if now == "page":
                where, data = offset + PAGE, b"!" * PAGE
            if now == "type":
                answer, size, data = WRITE, 0, b""
            if now == "half":
                data = b"!" * (PAGE // 2)
            s.sendall(header(answer | REPLY, tag, size, where, extent, 0 if answer == WRITE else status) + data)
            if now == "half":
                raise Over


def connection(s):
    try:
        serve(s, handshake(s))
    except (Over, OSError):
        pass
    s.close()


listener = socket.create_server(("127.0.0.1", port))
while True:
    s, _ = listener.accept()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    t = threading.Thread(target=connection, args=(s,), daemon=True)
    with lock:
        connections.append((s, t))
    t.start()
