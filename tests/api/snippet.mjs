// Runs the page snippet in a page that is made of nothing but what the snippet touches.
import assert from "node:assert"
import { readFileSync } from "node:fs"
import vm from "node:vm"

const source = readFileSync(process.argv[2], "utf8")

function page({ storage = {}, view } = {}) {
  const listeners = {}, timers = [], sent = [], beacons = [], answers = [], observers = []
  const listen = (name, run) => (listeners[name] ??= []).push(run)
  const window = {
    crypto: globalThis.crypto, URL, encodeURIComponent, WeakMap, Uint8Array, String, JSON,
    localStorage: storage,
    document: {
      currentScript: { dataset: { key: "vitrine_k", view }, src: "https://recommend.example/v1/vitrine.js" },
      visibilityState: "visible", addEventListener: listen, querySelectorAll: () => [],
    },
    navigator: { sendBeacon: (url, body) => { beacons.push({ url: String(url), ...JSON.parse(body) }); return window.beaconTaken } },
    beaconTaken: true,
    addEventListener: listen,
    setTimeout: (run, after) => timers.push({ run, after }),
    clearTimeout: id => { if (id) timers[id - 1] = undefined },
    fetch: async (url, options) => {
      sent.push({ url: String(url), ...options, ...JSON.parse(options.body) })
      const answer = answers.shift() ?? 202
      if (answer === "away") throw new TypeError("failed to fetch")
      return { status: answer }
    },
    IntersectionObserver: class { constructor(run) { this.run = run; this.seen = []; observers.push(this) } observe(e) { this.seen.push(e) } unobserve(e) { this.seen = this.seen.filter(x => x !== e) } },
    MutationObserver: class { constructor(run) { observers.push(this); this.run = run } observe() {} },
  }
  window.window = window
  vm.runInNewContext(source, window)
  const due = async () => { for (const timer of timers.splice(0)) await timer?.run() }
  return { window, vitrine: window.vitrine, listeners, timers, sent, beacons, answers, observers, due, storage }
}
const agreed = { personalization: true, analytics: true }
const element = (article, list, place) => ({
  dataset: { vitrine: article, vitrinePosition: place }, isConnected: true, matches: () => true, querySelectorAll: () => [],
  closest(selector) { return selector === "[data-vitrine]" ? this : list && { dataset: { vitrineList: list } } },
})

// Before consent nothing is sent or stored; then what waited goes, with an id.
{
  const { vitrine, sent, storage, due } = page({ view: "a" })
  await due()
  assert.deepEqual([sent.length, Object.keys(storage)], [0, []])
  await vitrine.consent(agreed)
  const [{ url, method, keepalive, events }] = sent
  assert.deepEqual([url, method, keepalive], ["https://recommend.example/v1/events?key=vitrine_k", "POST", true])
  assert.equal(events[0].type, "view")
  assert.equal(events[0].items[0].article_id, "a")
  assert.ok(vitrine.visitor && events[0].visitor_id === vitrine.visitor)
  assert.equal(JSON.parse(storage.vitrine).visitor, vitrine.visitor)
}
// Without personalisation events go without an id, and an old id is forgotten.
{
  const storage = { vitrine: JSON.stringify({ consent: agreed, visitor: "v1" }) }
  const { vitrine, sent, due } = page({ storage })
  assert.equal(vitrine.visitor, "v1")
  await vitrine.consent({ analytics: true })
  vitrine.customer("c1")
  vitrine.view("a")
  await due()
  const [event] = sent[0].events
  assert.deepEqual([event.visitor_id, event.customer_id, event.consent.personalization], [undefined, undefined, false])
  assert.ok(!storage.vitrine.includes("v1"))
}
// What fails is sent again with the same ids; a refusal is not.
{
  const { vitrine, sent, answers, due, timers } = page()
  await vitrine.consent(agreed)
  answers.push("away", 503, 202)
  vitrine.purchase("o-1", [{ article_id: "a", quantity: 2, price: 9.5 }], "EUR")
  await due()
  assert.deepEqual(timers.map(timer => timer.after), [1000])
  await due()
  assert.deepEqual(timers.map(timer => timer.after), [2000])
  await due()
  assert.equal(new Set(sent.map(request => request.events[0].event_id)).size, 1)
  assert.deepEqual([sent.length, sent[2].events[0].order_id, sent[2].events[0].currency], [3, "o-1", "EUR"])
  answers.push(400)
  vitrine.view("b")
  await due()
  assert.deepEqual([sent.length, timers.length], [4, 0])
}
// Many events go in parts, and each goes once.
{
  const { vitrine, sent, due } = page()
  await vitrine.consent(agreed)
  for (let at = 0; at < 45; at++) vitrine.view("a" + at)
  await due()
  assert.deepEqual(sent.map(request => request.events.length), [20, 20, 5])
}
// Clicks and impressions name the list and the place.
{
  const { vitrine, sent, due, listeners, observers } = page()
  await vitrine.consent(agreed)
  const article = element("a", "token", "3"), other = element("b", "token", "4")
  listeners.click[0]({ target: article })
  const [eyes, changes] = observers
  changes.run([{ type: "childList", addedNodes: [article, other] }])
  assert.equal(eyes.seen.length, 2)
  eyes.run([{ target: article, isIntersecting: true }, { target: other, isIntersecting: true }])
  eyes.run([{ target: other, isIntersecting: false }])
  await due()
  await due()
  const events = sent.flatMap(request => request.events)
  assert.deepEqual(events.map(event => event.type), ["click", "impression"])
  for (const { items: [item] } of events) assert.deepEqual({ ...item }, { article_id: "a", recommendation_id: "token", position: 3 })
  assert.deepEqual(eyes.seen, [other])
}
// A page that closes hands over what waits; what the browser does not take waits for the next page.
{
  const { vitrine, window, beacons, listeners, storage } = page()
  await vitrine.consent(agreed)
  vitrine.view("a")
  listeners.pagehide[0]()
  assert.equal(beacons[0].events.length, 1)
  window.beaconTaken = false
  vitrine.view("b")
  listeners.pagehide[0]()
  const [{ event_id }] = JSON.parse(storage.vitrine).unsent
  const next = page({ storage })
  await next.due()
  assert.equal(next.sent[0].events[0].event_id, event_id)
}
// Storage that is not allowed is no failure.
{
  const { vitrine, sent } = page({ storage: new Proxy({}, { get() { throw new Error("denied") }, set() { throw new Error("denied") } }) })
  vitrine.view("a")
  await vitrine.consent(agreed)
  assert.equal(sent.length, 1)
}
console.log("ok")
