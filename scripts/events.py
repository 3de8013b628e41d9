#!/usr/bin/env python3
"""Tells events to servers on this machine and checks that each counts once. Loopback only, bounded in time.

    events.py kills  --server BIN --arguments "serve …" --url URL --admin URL --rows CMD [--kills 50]
        kills the server with SIGKILL while four clients tell events and send again whatever was not answered
    events.py outage --url URL --key KEY --stop CMD --start CMD --rows CMD [--seconds 10]
        stops the database while the same clients tell events
    events.py follow --url URL --replica URL --key KEY [--clicks 200]
        how long after a click the answers of both servers have changed

Environment: VITRINE__ADMIN__KEY for kills. Prints one JSON object; fails when something was lost or doubled.
"""

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid

BATCH = 20


class Client:
    """One connection that is opened again after a failure."""

    def __init__(self, url, key=None):
        address = urllib.parse.urlsplit(url)
        assert address.hostname in ("127.0.0.1", "localhost", "::1"), "loopback only"
        self.address = (address.hostname, address.port)
        self.headers = {"content-type": "application/json"}
        if key:
            self.headers["authorization"] = f"Bearer {key}"
        self.connection = None

    def ask(self, method, path, body=None, timeout=30):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        try:
            self.connection.request(method, path, body, self.headers)
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            return None, b""


def event(articles, customers):
    kind = random.choices(["view", "click", "impression", "cart_add", "purchase"], [50, 15, 25, 7, 3])[0]
    return {
        "event_id": str(uuid.uuid4()),
        "type": kind,
        "visitor_id": f"v{random.randrange(customers)}",
        "items": [{"article_id": f"{random.randrange(articles)}"}],
    }


def batch(articles=10_000, customers=50_000):
    return json.dumps({"events": [event(articles, customers) for _ in range(BATCH)]}).encode()


def make_key(admin, name):
    operator = Client(admin, os.environ["VITRINE__ADMIN__KEY"])
    body = json.dumps({"name": name, "scopes": ["events"]})
    for _ in range(100):
        status, answer = operator.ask("POST", "/admin/v1/keys", body)
        if status == 201:
            return json.loads(answer)["key"]
        time.sleep(0.1)
    sys.exit(f"no key: {answer}")


def quantiles(times):
    times.sort()
    at = lambda share: round(1000 * times[min(int(len(times) * share), len(times) - 1)], 1)
    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1)}


def wait_until_live(url, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if Client(url).ask("GET", "/livez", timeout=1)[0] == 200:
            return
        time.sleep(0.02)
    sys.exit(f"the server at {url} does not answer")


class Tellers:
    """Four clients that tell events, and send again whatever was not answered, until they are stopped."""

    def __init__(self, url, key):
        self.url, self.key = url, key
        self.told, self.stopped, self.lock = [], threading.Event(), threading.Lock()
        self.counts = {"requests": 0, "retries": 0, "duplicate": 0, "rejected": 0, "unexpected": {}}
        self.clients = [threading.Thread(target=self.tell) for _ in range(4)]
        for client in self.clients:
            client.start()

    def tell(self):
        client = Client(self.url, self.key)
        while not self.stopped.is_set():
            body = batch()
            verdict = self.until_answered(client, body)
            with self.lock:
                self.counts["duplicate"] += verdict["duplicate"]
                self.counts["rejected"] += len(verdict["rejected"])
                self.told.extend(one["event_id"] for one in json.loads(body)["events"])

    def until_answered(self, client, body):
        while True:
            status, answer = client.ask("POST", "/v1/events", body, timeout=5)
            with self.lock:
                self.counts["requests"] += 1
                self.counts["retries"] += status != 202
                if status not in (202, 503, None):
                    self.counts["unexpected"][str(status)] = answer.decode()
            if status == 202:
                return json.loads(answer)
            time.sleep(0.01)

    def stop(self):
        self.stopped.set()
        for client in self.clients:
            client.join()

    def judge(self, rows_command, **said):
        """Prints what was found; whether every event that was answered is there, once."""
        found = subprocess.run(rows_command, shell=True, check=True, capture_output=True, text=True)
        rows = int(found.stdout)
        print(json.dumps({**said, "answered_events": len(self.told), "rows": rows, **self.counts}))
        each_once = rows == len(self.told) == len(set(self.told))
        return each_once and self.counts["rejected"] == 0 and not self.counts["unexpected"]


def kills(options):
    log = open(options.log, "w")
    start = lambda: subprocess.Popen([options.server, *options.arguments.split()], stderr=log)
    server = start()
    wait_until_live(options.url)
    tellers = Tellers(options.url, make_key(options.admin, f"drill-{uuid.uuid4().hex[:8]}"))
    for _ in range(options.kills):
        time.sleep(random.uniform(0.1, 0.6))
        server.send_signal(signal.SIGKILL)
        server.wait()
        server = start()
        wait_until_live(options.url)
    tellers.stop()
    server.terminate()
    server.wait()
    return tellers.judge(options.rows, kills=options.kills)


def outage(options):
    tellers = Tellers(options.url, options.key)
    time.sleep(5)
    subprocess.run(options.stop, shell=True, check=True, stdout=subprocess.DEVNULL)
    time.sleep(options.seconds)
    subprocess.run(options.start, shell=True, check=True, stdout=subprocess.DEVNULL)
    time.sleep(5)
    tellers.stop()
    return tellers.judge(options.rows, seconds_without_database=options.seconds)


def follow(options):
    articles = json.loads(Client(options.url).ask("GET", "/v1/popular?k=50")[1])["items"]
    articles = [item["article_id"] for item in articles]
    here, there = Client(options.url), Client(options.replica)
    teller = Client(options.url, options.key)
    late = {"here": [], "there": []}
    for n in range(options.clicks):
        visitor = f"follow-{uuid.uuid4()}"
        body = json.dumps({"visitor_id": visitor, "k": 12})
        ask = lambda client: [item["article_id"] for item in json.loads(client.ask("POST", "/v1/recommendations", body)[1])["items"]]
        before = ask(here), ask(there)
        click = {"event_id": str(uuid.uuid4()), "type": "click", "visitor_id": visitor,
                 "items": [{"article_id": articles[n % len(articles)]}]}
        sent = time.monotonic()
        assert teller.ask("POST", "/v1/events", json.dumps({"events": [click]}))[0] == 202
        for name, client, old in (("here", here, before[0]), ("there", there, before[1])):
            while ask(client) == old:
                if time.monotonic() - sent > 10:
                    sys.exit(f"the answer of the server {name} does not change")
            late[name].append(time.monotonic() - sent)
    print(json.dumps({"clicks": options.clicks, "here": quantiles(late["here"]), "there": quantiles(late["there"])}))
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_kills = kinds.add_parser("kills")
    for name in ("--server", "--arguments", "--url", "--admin", "--rows"):
        of_kills.add_argument(name, required=True)
    of_kills.add_argument("--kills", type=int, default=50)
    of_kills.add_argument("--log", default=os.devnull)
    of_outage = kinds.add_parser("outage")
    for name in ("--stop", "--start", "--rows"):
        of_outage.add_argument(name, required=True)
    of_outage.add_argument("--seconds", type=float, default=10)
    of_follow = kinds.add_parser("follow")
    of_follow.add_argument("--replica", required=True)
    of_follow.add_argument("--clicks", type=int, default=200)
    for kind in (of_outage, of_follow):
        kind.add_argument("--url", required=True)
        kind.add_argument("--key", required=True)
    options = parser.parse_args()
    drills = {"kills": kills, "outage": outage, "follow": follow}
    sys.exit(0 if drills[options.kind](options) else 1)


if __name__ == "__main__":
    main()
