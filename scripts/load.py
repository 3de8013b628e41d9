#!/usr/bin/env python3
"""Asks a server on this machine for recommendations until it is told to stop, and counts what is not answered.

    scripts/load.py URL CUSTOMERS.CSV --seconds N [--connections N] [--rate N]

Prints one JSON object and exits with 1 if a request failed. A request fails if the connection breaks, if the status is not
200, or if fewer items come than were asked for. Every connection is kept open, as a shop's backend keeps them.
SIGINT ends it early.
"""

import argparse
import csv
import http.client
import ipaddress
import json
import signal
import socket
import threading
import time
import urllib.parse

K = 12


class Findings:
    def __init__(self):
        self.lock = threading.Lock()
        self.seconds = []
        self.failures = {}
        self.versions = {}

    def answer(self, seconds, version):
        with self.lock:
            self.seconds.append(seconds)
            self.versions[version] = self.versions.get(version, 0) + 1

    def failure(self, why):
        with self.lock:
            self.failures[why] = self.failures.get(why, 0) + 1

    def report(self):
        seconds = sorted(self.seconds)
        at = lambda share: round(1000 * seconds[int(share * (len(seconds) - 1))], 1) if seconds else None
        return {
            "answers": len(seconds),
            "failed": sum(self.failures.values()),
            "failures": self.failures,
            "p50_ms": at(0.5),
            "p99_ms": at(0.99),
            "longest_ms": at(1.0),
            "versions": self.versions,
        }


def ask(connection, path, customer):
    body = json.dumps({"customer_id": customer, "k": K})
    connection.request("POST", path, body, {"content-type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        return f"status {response.status}", None
    answer = json.loads(text)
    if len(answer["items"]) != K:
        return f"{len(answer['items'])} items", None
    return None, answer["meta"]["model"]["version"]


def drive(url, customers, first, pause, stop, findings):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    at = first
    while not stop.is_set():
        started = time.monotonic()
        try:
            why, version = ask(connection, url.path, customers[at % len(customers)])
        except (OSError, http.client.HTTPException) as error:
            why, version = type(error).__name__, None
            connection.close()
        if why:
            findings.failure(why)
        else:
            findings.answer(time.monotonic() - started, version)
        at += 1
        stop.wait(pause)
    connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url", type=urllib.parse.urlsplit)
    parser.add_argument("customers")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rate", type=float, default=200, help="requests a second, all connections together")
    arguments = parser.parse_args()
    address = socket.gethostbyname(arguments.url.hostname)
    if not ipaddress.ip_address(address).is_loopback:
        parser.error(f"{address} is not a loopback address: this tool only loads the machine it runs on")
    with open(arguments.customers, newline="") as file:
        customers = [row["customer_id"] for row in csv.DictReader(file)]
    stop, findings = threading.Event(), Findings()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    pause = arguments.connections / arguments.rate
    threads = [
        threading.Thread(target=drive, args=(arguments.url, customers, lane * 7919, pause, stop, findings))
        for lane in range(arguments.connections)
    ]
    for thread in threads:
        thread.start()
    stop.wait(arguments.seconds)
    stop.set()
    for thread in threads:
        thread.join()
    report = findings.report()
    print(json.dumps(report))
    raise SystemExit(1 if report["failed"] or not report["answers"] else 0)


main()
