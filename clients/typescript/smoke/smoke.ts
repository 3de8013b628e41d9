/** Runs the README's requests against a server: `npm run smoke -- URL [KEY]`. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Vitrine, VitrineConnectionError, VitrineError, type RecommendationRequest } from "vitrine-client";

const [baseUrl, key] = process.argv.slice(2);
assert(baseUrl, "usage: npm run smoke -- URL [KEY]");
const vitrine = new Vitrine({ baseUrl, ...(key === undefined ? {} : { key }), timeoutMs: 30_000 });

/** The first request of the README, as it stands there. */
const ladieswear: RecommendationRequest = {
  customer_id: "000fe0cb…",
  k: 12,
  filter: { index_group_name: "Ladieswear", price: { max: 0.05 } },
  exclude: { purchased: true },
  max_per: { product_code: 1 },
  fields: ["prod_name", "colour_group_name"],
};

/** The second one asks a sequence model. */
const generated: RecommendationRequest = {
  session: { article_ids: ["0706016001", "0448509014"] },
  k: 10,
  generation: { method: "sample", temperature: 0.8, top_p: 0.9, seed: 7 },
};

async function lists(): Promise<void> {
  const answer = await vitrine.recommend(ladieswear, { requestId: "smoke-1" });
  assert.equal(answer.meta.request_id, "smoke-1");
  assert(answer.items.length > 0);
  const first = answer.items[0];
  assert(first?.article?.["prod_name"] !== undefined, "fields come back");

  const combined = await vitrine.recommend({
    filter: { any: [{ index_group_name: "Ladieswear" }, { price: { min: 1 } }], not: { colour_group_name: ["Pink"] } },
    offset: 0,
  });
  assert.equal(combined.items.length, 12);
  const ids = combined.items.slice(0, 3).map((item) => item.article_id);
  const ranked = await vitrine.recommend({ article_ids: [...ids, "no such article"], k: 4 });
  assert.deepEqual(ranked.meta.unknown_article_ids, ["no such article"]);

  const popular = await vitrine.popular({ k: 3, filter: { index_group_name: "Ladieswear" }, fields: ["prod_name"] });
  assert.equal(popular.items.length, 3);
  const id = popular.items[0]?.article_id ?? "";
  assert.equal((await vitrine.similar(id, { k: 2 })).items.length, 2);
  assert.equal((await vitrine.article(id)).article_id, id);
  const home = await vitrine.placement("home", { cart: [id], k: 2 });
  assert.equal(home.meta.placement?.name, "home");
  assert.equal(home.items.length, 2);
  assert.ok(home.items.every((item) => item.article_id !== id));
  const popular12 = await vitrine.placement("popular");
  assert.equal(popular12.items.length, 12);
  const several = await vitrine.recommend({ sources: [{ source: "popular", limit: 5 }], k: 2 });
  assert.equal(several.meta.sources?.[0]?.found, 5);
  const batch = await vitrine.recommendBatch({ customer_ids: ["customer_id1", "nobody", ""], k: 2 });
  assert.deepEqual(batch.results.map((result) => result.problem?.code ?? result.answer?.items.length), [2, 2, "invalid_request"]);
}

async function errors(): Promise<void> {
  await assert.rejects(vitrine.article("no such article"), (error: unknown) => {
    assert(error instanceof VitrineError);
    assert.deepEqual([error.status, error.code], [404, "unknown_article"]);
    return true;
  });
  await assert.rejects(vitrine.recommend(generated), (error: unknown) => {
    return error instanceof VitrineError && error.code === "invalid_request";
  });
  const nowhere = new Vitrine({ baseUrl: "http://127.0.0.1:9", retries: 0 });
  await assert.rejects(nowhere.popular(), VitrineConnectionError);
}

/** A server that is busy twice, then answers; one that never does. */
async function retries(): Promise<void> {
  let calls = 0;
  const busy = createServer((_request, response) => {
    calls += 1;
    const problem = { type: "urn:vitrine:error:overloaded", title: "", status: 503, detail: "", code: "overloaded", request_id: "" };
    if (calls < 3) response.writeHead(503, { "retry-after": "1" }).end(JSON.stringify(problem));
    else response.end(JSON.stringify({ items: [], meta: {} }));
  });
  const silent = createServer(() => undefined);
  for (const server of [busy, silent]) await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const at = (server: typeof busy): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const patient = new Vitrine({ baseUrl: at(busy), longestWaitMs: 1 });
  assert.deepEqual((await patient.popular()).items, []);
  assert.equal(calls, 3);
  calls = 0;
  const hasty = new Vitrine({ baseUrl: at(busy), retries: 1, longestWaitMs: 1 });
  await assert.rejects(hasty.popular(), (error: unknown) => error instanceof VitrineError && error.status === 503);
  const quick = new Vitrine({ baseUrl: at(silent), timeoutMs: 20, retries: 0 });
  await assert.rejects(quick.popular(), VitrineConnectionError);
  busy.close();
  silent.close();
  silent.closeAllConnections();
}

await lists();
await errors();
await retries();
console.log("the TypeScript client works");
