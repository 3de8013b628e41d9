#!/usr/bin/env python3
"""Attacks a server of your own on loopback, bounded in count and time, and says what other clients got meanwhile.

    attack.py slow-bodies PUBLIC [--count 520] [--seconds 8]   POST bodies that never end
    attack.py idle PUBLIC ADMIN [--count 367]                  connections that say nothing
    attack.py stop PUBLIC --pid PID [--connections 16]         SIGTERM under load, half of it keep-alive

PUBLIC and ADMIN are ports. Prints one JSON object; exits 1 when another client went without its answer.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time

BODY = b'{"k": 12}'
HEAD = b"POST /v1/recommendations HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
LIVE = b"GET /livez HTTP/1.1\r\nhost: t\r\n"


def recommend(close):
    end = b"connection: close\r\n" if close else b""
    return HEAD + end + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


def connect(port, timeout=5.0):
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def read_answer(connection):
    """The status and whether the connection stays; None when it ends before the answer does."""
    data = b""
    while True:
        head, found, body = data.partition(b"\r\n\r\n")
        if found:
            lines = head.lower().split(b"\r\n")
            headers = dict(line.split(b": ", 1) for line in lines[1:])
            if len(body) >= int(headers[b"content-length"]):
                return int(lines[0].split()[1]), headers.get(b"connection") != b"close"
        try:
            more = connection.recv(65536)
        except OSError:
            return None
        if not more:
            return None
        data += more


def ask(port, request):
    """The status of one request on a connection of its own, or what happened instead; and how long it took."""
    started = time.monotonic()
    try:
        with connect(port) as connection:
            connection.sendall(request)
            answer = read_answer(connection)
            result = answer[0] if answer else "no answer"
    except OSError as error:
        result = type(error).__name__
    return result, time.monotonic() - started


def tally(results):
    counts = {}
    for status, _ in results:
        counts[str(status)] = counts.get(str(status), 0) + 1
    times = sorted(took for _, took in results)
    return {"answers": counts, "slowest_ms": round(times[-1] * 1000, 1)}


def watch(seconds, asks):
    """Asks every 50 ms; `asks` are name, port and request."""
    results = {name: [] for name, _, _ in asks}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, port, request in asks:
            results[name].append(ask(port, request))
        time.sleep(0.05)
    return results


def report(results, good):
    report = {name: tally(answers) for name, answers in results.items()}
    print(json.dumps(report))
    return all(status in good for answers in results.values() for status, _ in answers)


def slow_bodies(arguments):
    held = []
    for _ in range(arguments.count):
        connection = connect(arguments.public)
        connection.sendall(HEAD + b"content-length: 100\r\n\r\n{")
        held.append(connection)
    asks = [("recommend", arguments.public, recommend(True)), ("livez", arguments.public, LIVE + b"\r\n")]
    return report(watch(arguments.seconds, asks), {200})


def idle(arguments):
    held = []
    for _ in range(arguments.count):
        connection = socket.socket()
        connection.setblocking(False)
        # Whether the server takes it or not: the others count.
        connection.connect_ex(("127.0.0.1", arguments.public))
        held.append(connection)
    time.sleep(0.5)
    asks = [
        ("livez", arguments.public, LIVE + b"\r\n"),
        ("recommend", arguments.public, recommend(True)),
        # Without the key: that it answers at all is what counts.
        ("admin", arguments.admin, b"GET /admin/v1/status HTTP/1.1\r\nhost: t\r\n\r\n"),
    ]
    return report(watch(arguments.seconds, asks), {200, 401})


def stop(arguments):
    counts = {"answered": 0, "unanswered": 0, "reset_while_connecting": 0}
    lock = threading.Lock()

    def count(name):
        with lock:
            counts[name] += 1

    def client(close):
        request = recommend(close)
        while True:
            try:
                connection = connect(arguments.public)
            except ConnectionRefusedError:
                return
            except OSError:
                count("reset_while_connecting")
                return
            with connection:
                keep = True
                while keep:
                    try:
                        connection.sendall(request)
                    except OSError:
                        count("unanswered")
                        break
                    answer = read_answer(connection)
                    count("answered" if answer else "unanswered")
                    keep = bool(answer) and answer[1] and not close

    clients = [threading.Thread(target=client, args=(n % 2 == 0,)) for n in range(arguments.connections)]
    for thread in clients:
        thread.start()
    time.sleep(arguments.seconds)
    stopped = time.monotonic()
    os.kill(arguments.pid, signal.SIGTERM)
    for thread in clients:
        thread.join(60)
    counts["ended_after_s"] = round(time.monotonic() - stopped, 2)
    print(json.dumps(counts))
    return counts["unanswered"] == 0 and counts["reset_while_connecting"] == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, attack, count, seconds in [
        ("slow-bodies", slow_bodies, 520, 8.0),
        ("idle", idle, 367, 5.0),
        ("stop", stop, 0, 3.0),
    ]:
        command = commands.add_parser(name)
        command.set_defaults(attack=attack)
        command.add_argument("public", type=int)
        if name == "idle":
            command.add_argument("admin", type=int)
        if name == "stop":
            command.add_argument("--pid", type=int, required=True)
            command.add_argument("--connections", type=int, default=16)
        command.add_argument("--count", type=int, default=count)
        command.add_argument("--seconds", type=float, default=seconds)
    arguments = parser.parse_args()
    sys.exit(0 if arguments.attack(arguments) else 1)


if __name__ == "__main__":
    main()
