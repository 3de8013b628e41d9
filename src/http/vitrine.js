// Tells Vitrine what happens on a shop's pages. docs/connecting-a-shop.md explains how to use it.
// Nothing is sent or stored before `vitrine.consent(…)` was called once in this browser.
(() => {
  const script = document.currentScript
  const url = new URL("events?key=" + encodeURIComponent(script.dataset.key || ""), script.src)
  const NAME = "vitrine"
  let state = {}, customer, timer, tries = 0, sending = []
  try { state = JSON.parse(localStorage[NAME] || "{}") } catch {}
  const queue = state.unsent || []
  delete state.unsent

  const save = () => { try { localStorage[NAME] = JSON.stringify(state) } catch {} }
  // Pages without https have no `randomUUID`.
  const uuid = () => crypto.randomUUID?.() ||
    [...crypto.getRandomValues(new Uint8Array(16))].map(byte => (byte + 256).toString(16).slice(1)).join("")
  const listed = items => [].concat(items ?? []).map(item => item?.article_id ? item : { article_id: String(item) })

  function track(type, items, more) {
    queue.push({ event_id: uuid(), type, items: listed(items), ...more })
    timer ||= setTimeout(flush, 1000)
  }

  // An event keeps its id and its subject however often it is sent: the server counts it once.
  function batch() {
    const { consent, visitor } = state
    const who = consent.personalization ? { customer_id: customer, visitor_id: visitor } : {}
    return queue.splice(0, 20).map(event => event.consent ? event : { ...event, ...who, consent })
  }

  let running
  const flush = () => running ||= send().finally(() => { running = undefined })
  async function send() {
    timer = 0
    while (state.consent && queue.length) {
      sending = batch()
      let status = 0
      try { status = (await fetch(url, { method: "POST", keepalive: true, body: JSON.stringify({ events: sending }) })).status } catch {}
      const again = !status || status == 429 || status > 499
      if (again) queue.unshift(...sending)
      sending = []
      if (again) {
        if (tries < 9) timer = setTimeout(flush, 1000 * 2 ** tries++)
        return
      }
      tries = 0
    }
  }

  // The page may be gone a moment later; what is on its way goes with it once more.
  function leave() {
    queue.unshift(...sending.splice(0))
    while (state.consent && queue.length) {
      const events = batch()
      if (!navigator.sendBeacon(url, JSON.stringify({ events }))) {
        state.unsent = [...events, ...queue.splice(0)]
        save()
      }
    }
  }
  document.addEventListener("visibilitychange", () => document.visibilityState == "hidden" && leave())
  addEventListener("pagehide", leave)

  const item = element => ({
    article_id: element.dataset.vitrine,
    recommendation_id: element.closest("[data-vitrine-list]")?.dataset.vitrineList || undefined,
    position: +element.dataset.vitrinePosition || undefined,
  })

  addEventListener("click", event => {
    const element = event.target.closest?.("[data-vitrine]")
    if (element) track("click", item(element))
  }, true)

  // Half of an article visible for a second is an impression.
  const seen = new WeakMap()
  const eyes = new IntersectionObserver(entries => entries.forEach(({ target, isIntersecting }) => {
    clearTimeout(seen.get(target))
    if (isIntersecting) seen.set(target, setTimeout(() => {
      eyes.unobserve(target)
      if (target.isConnected) track("impression", item(target))
    }, 1000))
  }), { threshold: 0.5 })
  const watch = node => {
    if (node.matches?.("[data-vitrine]")) { eyes.unobserve(node); eyes.observe(node) }
    node.querySelectorAll?.("[data-vitrine]").forEach(element => eyes.observe(element))
  }
  new MutationObserver(changes => changes.forEach(change => change.type == "attributes" ? watch(change.target) : change.addedNodes.forEach(watch)))
    .observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-vitrine"] })
  watch(document)
  if (script.dataset.view) track("view", script.dataset.view)
  if (queue.length) timer ||= setTimeout(flush, 1000)

  window.vitrine = {
    track,
    view: article => track("view", article),
    add: (article, quantity = 1, price) => track("cart_add", { article_id: article, quantity, price }),
    remove: article => track("cart_remove", article),
    dislike: article => track("dislike", article),
    wish: article => track("wishlist", article),
    purchase: (order_id, items, currency) => track("purchase", items, { order_id, currency }),
    customer: id => { customer = id },
    get visitor() { return state.visitor },
    // Events of before wait for this call. Without `personalization` the browser has no id, and an old one is forgotten.
    consent(given) {
      state.consent = { personalization: !!given.personalization, analytics: !!given.analytics }
      state.visitor = given.personalization ? state.visitor || uuid() : undefined
      save()
      return flush()
    },
    // Sends what waits, now. Await it before asking for a list that should know.
    flush,
  }
})()
