/** Client of Vitrine. Types come from the API's own document; see `schema.ts`. */

import type { components, operations } from "./schema.js";

type Schemas = components["schemas"];

export type RecommendationRequest = Schemas["RecommendationRequest"];
export type RecommendationResponse = Schemas["RecommendationResponse"];
export type RankedArticle = Schemas["RankedArticle"];
export type Article = Schemas["Article"];
export type PlacementRequest = Schemas["PlacementRequest"];
export type BatchRequest = Schemas["BatchRequest"];
export type BatchResponse = Schemas["BatchResponse"];
export type FilterCondition = Schemas["FilterCondition"];
export type Problem = Schemas["Problem"];
export type ErrorCode = Schemas["ErrorCode"];

/** Conditions on attributes; `all`, `any` and `not` combine whole filters. */
export type Filter = Schemas["Filter"];

type Query<Operation extends keyof operations> = NonNullable<operations[Operation]["parameters"]["query"]>;

/** Parameters of a list; the filter is an object here and JSON on the wire. */
type ListQuery<Operation extends keyof operations> = Omit<Query<Operation>, "filter" | "fields"> & {
  readonly fields?: readonly string[];
  readonly filter?: Filter;
};

export type PopularQuery = ListQuery<"list_popular">;
export type SimilarQuery = ListQuery<"list_similar">;

export interface VitrineOptions {
  /** Where the public listener is, such as `https://recommend.shop.example`. */
  readonly baseUrl: string;
  /** A key, where the server wants one. Give browsers a key with the scope `recommend` alone. */
  readonly key?: string;
  /** Milliseconds after which a try is given up; 2000 if not given. */
  readonly timeoutMs?: number;
  /** Further tries when the server is busy (429, 503), out of reach or silent; 2 if not given. */
  readonly retries?: number;
  /** Longest wait before another try, in milliseconds, whatever the server asks for; 5000 if not given. */
  readonly longestWaitMs?: number;
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  /** Gives up when it is aborted. */
  readonly signal?: AbortSignal;
  /** Comes back in the answer and stands in the server's log. */
  readonly requestId?: string;
}

/** The server answered with a problem document. `problem.code` says which kind it is. */
export class VitrineError extends Error {
  override readonly name = "VitrineError";

  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(`${problem.code}: ${problem.detail}`);
  }

  get code(): ErrorCode {
    return this.problem.code;
  }
}

/** No answer came: the server is out of reach, silent, or not Vitrine. */
export class VitrineConnectionError extends Error {
  override readonly name = "VitrineConnectionError";
}

export class Vitrine {
  readonly #baseUrl: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #retries: number;
  readonly #longestWaitMs: number;
  readonly #fetch: typeof fetch;

  constructor(options: VitrineOptions) {
    this.#baseUrl = options.baseUrl.replace(/\/+$/, "");
    this.#headers = options.key === undefined ? {} : { authorization: `Bearer ${options.key}` };
    this.#timeoutMs = options.timeoutMs ?? 2000;
    this.#retries = options.retries ?? 2;
    this.#longestWaitMs = options.longestWaitMs ?? 5000;
    // A bare `fetch` must be called as a method of nothing.
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
  }

  /** Articles for a customer or guest. */
  recommend(request: RecommendationRequest, options?: CallOptions): Promise<RecommendationResponse> {
    return this.#call("POST", "/v1/recommendations", request, options);
  }

  /** The same list options for up to 1,000 customers. */
  recommendBatch(request: BatchRequest, options?: CallOptions): Promise<BatchResponse> {
    return this.#call("POST", "/v1/recommendations/batch", request, options);
  }

  /** Articles for a place in the shop, found as its placement says. */
  placement(name: string, request: PlacementRequest = {}, options?: CallOptions): Promise<RecommendationResponse> {
    return this.#call("POST", `/v1/placements/${encodeURIComponent(name)}/recommendations`, request, options);
  }

  /** What sells best. */
  popular(query: PopularQuery = {}, options?: CallOptions): Promise<RecommendationResponse> {
    return this.#call("GET", `/v1/popular${search(query)}`, undefined, options);
  }

  /** Articles like one. */
  similar(articleId: string, query: SimilarQuery = {}, options?: CallOptions): Promise<RecommendationResponse> {
    const path = `/v1/articles/${encodeURIComponent(articleId)}/similar${search(query)}`;
    return this.#call("GET", path, undefined, options);
  }

  /** One article as it is served. */
  article(articleId: string, options?: CallOptions): Promise<Article> {
    return this.#call("GET", `/v1/articles/${encodeURIComponent(articleId)}`, undefined, options);
  }

  async #call<Answer>(method: string, path: string, body: unknown, options: CallOptions = {}): Promise<Answer> {
    for (let left = this.#retries; ; left -= 1) {
      const { answer, error, waitMs } = await this.#try<Answer>(method, path, body, options);
      if (error === undefined) return answer as Answer;
      if (waitMs === undefined || left <= 0 || options.signal?.aborted) throw error;
      await sleep(Math.min(waitMs, this.#longestWaitMs), options.signal);
    }
  }

  /** One try. `waitMs` says that another one may help, and when. */
  async #try<Answer>(method: string, path: string, body: unknown, options: CallOptions): Promise<Try<Answer>> {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const headers: Record<string, string> = { ...this.#headers, accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (options.requestId !== undefined) headers["x-request-id"] = options.requestId;
    try {
      const response = await this.#fetch(this.#baseUrl + path, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]),
      });
      const json: unknown = await response.json();
      if (response.ok) return { answer: json as Answer };
      if (!isProblem(json)) throw new Error(`status ${response.status} without a problem document`);
      const error = new VitrineError(response.status, json);
      return response.status === 429 || response.status === 503 ? { error, waitMs: retryAfter(response) } : { error };
    } catch (cause) {
      if (options.signal?.aborted) throw cause;
      const what = timeout.aborted ? `no answer within ${this.#timeoutMs} ms` : String(cause);
      return { error: new VitrineConnectionError(`${method} ${path}: ${what}`, { cause }), waitMs: 100 };
    }
  }
}

interface Try<Answer> {
  readonly answer?: Answer;
  readonly error?: Error;
  readonly waitMs?: number;
}

function search(query: { readonly [name: string]: unknown }): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) parameters.set(name, value.join(","));
    else parameters.set(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

function isProblem(json: unknown): json is Problem {
  return typeof json === "object" && json !== null && "code" in json && "detail" in json;
}

/** Milliseconds that the server asks to wait. */
function retryAfter(response: Response): number {
  const seconds = Number(response.headers.get("retry-after"));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 1000;
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
