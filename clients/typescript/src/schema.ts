// Generated from ../../openapi.yaml by `npm run generate`; do not edit.

export interface paths {
    readonly "/admin/v1/articles": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Insert or replace articles, all or none */
        readonly post: operations["put_articles"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/articles/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        readonly post?: never;
        /**
         * Delete an article
         * @description It appears in no answer any more. Purchases keep its id.
         */
        readonly delete: operations["delete_article"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/articles/availability": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Make articles available or not */
        readonly post: operations["set_availability"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/attributes": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** List the attributes of the shop and their kinds */
        readonly get: operations["list_attributes"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/attributes/{name}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        /**
         * Declare the kind of an attribute
         * @description Refused where an article has a value of another kind.
         */
        readonly put: operations["declare_attribute"];
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/audit": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** List the changes that were made */
        readonly get: operations["list_audit"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/customers": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        /** Insert customers or replace their attributes, all or none */
        readonly put: operations["put_customers"];
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/customers/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        readonly post?: never;
        /**
         * Erase a customer
         * @description Attributes, purchases, events and the visitors that were joined go at once, from the database
         *     and the memory of every server. A salted hash stays, so that no late event and no import brings
         *     them back.
         */
        readonly delete: operations["erase_customer"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/customers/{id}/export": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Everything that is kept of a customer */
        readonly get: operations["export_customer"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/customers/{id}/merge": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Make a visitor's past and future a customer's */
        readonly post: operations["merge_visitor"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/keys": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** List the keys */
        readonly get: operations["list_keys"];
        readonly put?: never;
        /** Make a key */
        readonly post: operations["create_key"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/keys/{name}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        readonly post?: never;
        /** Withdraw a key */
        readonly delete: operations["withdraw_key"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/metrics/recommendations": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Report what came of recommendations
         * @description The sums are computed from the events each time, so a long span of a busy shop takes seconds.
         */
        readonly get: operations["report_recommendations"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/models": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** List the versions of all models */
        readonly get: operations["list_models"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/models/{name}/activate": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Load a version, check it, and serve it */
        readonly post: operations["activate_model"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/models/{name}/deactivate": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Take a model out of service */
        readonly post: operations["deactivate_model"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/models/{name}/reload": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Read the bundle of the active version again */
        readonly post: operations["reload_model"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/models/{name}/rollback": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Serve the version before the active one again */
        readonly post: operations["rollback_model"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/placements": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** List the placements */
        readonly get: operations["list_placements"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/placements/{name}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** One placement */
        readonly get: operations["get_placement"];
        /** Save a placement and serve it */
        readonly put: operations["put_placement"];
        readonly post?: never;
        /**
         * Delete a placement
         * @description Where there is a built-in placement of its name, that one answers again. A rollback undoes it.
         */
        readonly delete: operations["delete_placement"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/placements/{name}/preview": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Try a placement before it is saved */
        readonly post: operations["preview_placement"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/placements/{name}/rollback": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Bring the definition before the current one back
         * @description It becomes a new version. Each rollback goes one definition further back.
         */
        readonly post: operations["rollback_placement"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/placements/{name}/versions": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** List the versions of a placement */
        readonly get: operations["list_placement_versions"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/status": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** What is served, what was refused and why, and whether the database answers */
        readonly get: operations["get_status"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/admin/v1/visitors/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        readonly post?: never;
        /** Erase a visitor */
        readonly delete: operations["erase_visitor"];
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/livez": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Whether the process runs */
        readonly get: operations["get_liveness"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/metrics": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Metrics in the Prometheus text format */
        readonly get: operations["get_metrics"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/readyz": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Whether the server can answer */
        readonly get: operations["get_readiness"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/articles/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** One article */
        readonly get: operations["get_article"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/articles/{id}/similar": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Articles like this one */
        readonly get: operations["list_similar"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/customers/{id}/recommendations": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Recommend articles to a customer */
        readonly get: operations["recommend_to_customer"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/events": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Tell what happens in the shop
         * @description Send a key with the scope `events`. A page that sends by `navigator.sendBeacon` may send
         *     `text/plain` and name a key that has no other scope in the query string: `?key=…`.
         */
        readonly post: operations["tell_events"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/placements/{name}/recommendations": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Recommend articles for a place in the shop */
        readonly get: operations["recommend_in_placement_by_query"];
        readonly put?: never;
        /** Recommend articles for a place in the shop */
        readonly post: operations["recommend_in_placement"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/popular": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** What sells best */
        readonly get: operations["list_popular"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/recommendations": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Recommend articles to a customer or guest */
        readonly post: operations["recommend"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/recommendations/batch": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /** Recommend articles to many customers */
        readonly post: operations["recommend_batch"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description An article of the catalogue. */
        readonly Article: {
            readonly article_id: components["schemas"]["Id"];
            readonly attributes: components["schemas"]["Attributes"];
            /** @description Articles that are not available are never recommended. */
            readonly available: boolean;
            readonly image_url: string | null;
            /**
             * Format: double
             * @description In the shop's currency.
             */
            readonly price: number | null;
        };
        readonly ArticleBatch: {
            readonly articles: readonly components["schemas"]["ArticleInput"][];
        };
        /**
         * @description An article to insert or replace.
         * @example {
         *       "article_id": "0999999001",
         *       "attributes": {
         *         "index_group_name": "Menswear",
         *         "prod_name": "Linen shirt"
         *       },
         *       "price": 19.99
         *     }
         */
        readonly ArticleInput: {
            readonly article_id: components["schemas"]["Id"];
            /**
             * @description Numbers, texts or lists of texts under the shop's own names. An attribute has one kind for
             *     all articles of the shop: the declared one, else that of the import or of the first article
             *     that had it.
             */
            readonly attributes?: components["schemas"]["Attributes"];
            /** @description Whether it may be recommended; true if not given. */
            readonly available?: boolean;
            readonly image_url?: string | null;
            /**
             * Format: double
             * @description In the shop's currency.
             */
            readonly price?: number | null;
        };
        readonly ArticlesWritten: {
            /** @description Whether this server answers from them already. Otherwise it will within moments. */
            readonly served: boolean;
            readonly written: number;
        };
        /**
         * @description What a group of features says, in a merchandiser's words.
         * @enum {string}
         */
        readonly Aspect: "own_purchases" | "sales" | "repurchases" | "trend" | "bought_together" | "similar_taste" | "attribute" | "sources";
        /** @description An attribute of the shop's articles. */
        readonly Attribute: {
            /** @description Whether the kind was declared. Otherwise it was learnt, and an import may change it. */
            readonly declared: boolean;
            readonly kind: components["schemas"]["AttributeKind"];
            readonly name: string;
        };
        readonly AttributeDeclaration: {
            readonly kind: components["schemas"]["AttributeKind"];
        };
        /**
         * @description The kind of an attribute; the same for every article of the shop.
         * @enum {string}
         */
        readonly AttributeKind: "number" | "text" | "texts";
        readonly AttributeList: {
            /** @description By name. */
            readonly attributes: readonly components["schemas"]["Attribute"][];
        };
        /**
         * @description Values under the shop's own names; an article may lack any of them.
         * @example {
         *       "colour_group_name": "Black",
         *       "prod_name": "Jade HW Skinny",
         *       "tags": [
         *         "denim"
         *       ]
         *     }
         */
        readonly Attributes: {
            readonly [key: string]: components["schemas"]["AttributeValue"];
        };
        /** @description A number between -2^63 and 2^63, a text or a list of texts. */
        readonly AttributeValue: number | string | readonly string[];
        /**
         * @description How a change ended.
         * @enum {string}
         */
        readonly AuditOutcome: "begun" | "done" | "failed";
        readonly AuditPage: {
            /**
             * Format: int64
             * @description Send it as `before` for the next page; null when this is the last one.
             */
            readonly next: number | null;
            /** @description The latest first. */
            readonly rows: readonly components["schemas"]["AuditRow"][];
        };
        /** @description A recorded change. */
        readonly AuditRow: {
            /** @example models.activate */
            readonly action: string;
            /**
             * @description The name of the key, `admin.key` for the one of the configuration, or `cli:` and the user of
             *     a command line.
             */
            readonly actor: string;
            /** @description What is there since; null where nothing is. */
            readonly after: Record<string, never> | null;
            /** Format: date-time */
            readonly at: string;
            /** @description What was there before; null where nothing was. */
            readonly before: Record<string, never> | null;
            /** @description Why it failed. */
            readonly error: string | null;
            /**
             * Format: int64
             * @description Grows with time.
             */
            readonly id: number;
            /** @description `begun` stays where the server ended during the change. */
            readonly outcome: components["schemas"]["AuditOutcome"];
            /** @description What was changed. */
            readonly subject: string;
        };
        readonly AvailabilityChange: {
            readonly article_ids: readonly components["schemas"]["Id"][];
            readonly available: boolean;
        };
        readonly AvailabilityChanged: {
            readonly changed: number;
            /** @description Ids that the catalogue does not have. */
            readonly unknown: readonly components["schemas"]["Id"][];
        };
        /**
         * @description One list for each of many customers.
         * @example {
         *       "customer_ids": [
         *         "000fe0cb",
         *         "00a12bc3"
         *       ],
         *       "exclude": {
         *         "purchased": true
         *       },
         *       "fields": [
         *         "prod_name"
         *       ],
         *       "k": 6
         *     }
         */
        readonly BatchRequest: {
            /**
             * Format: date-time
             * @description The moment of the query, such as 2026-01-31T12:00:00Z; now if not given.
             */
            readonly at?: string | null;
            /** @description The customers. One whose text is no id gets a problem in place of an answer. */
            readonly customer_ids: readonly string[];
            readonly exclude?: components["schemas"]["Exclude"];
            /** @description Return reasons with every article, as a single request does. */
            readonly explain?: boolean;
            /** @description Attributes to return with every article. */
            readonly fields?: readonly string[];
            readonly filter?: components["schemas"]["Filter"];
            /** @description How many articles for each; 12 if not given. */
            readonly k?: number;
            readonly max_per?: components["schemas"]["Quotas"];
            /** @description The default model if not given. */
            readonly model?: string | null;
        };
        /** @description One answer or problem for each customer, in the order of the request. */
        readonly BatchResponse: {
            readonly results: readonly components["schemas"]["BatchResult"][];
        };
        /** @description Either an answer or a problem. */
        readonly BatchResult: {
            readonly answer?: components["schemas"]["RecommendationResponse"];
            readonly customer_id: string;
            /** @description Why this customer has no answer; the others have theirs. */
            readonly problem?: components["schemas"]["Problem"];
        };
        /** @description A bundle that holds a customer's id. */
        readonly BundleMention: {
            /** @description Whether it answers requests. */
            readonly active: boolean;
            readonly model: string;
            readonly version: string;
        };
        /**
         * @description A source of candidates. Its kind may want parameters of its own.
         *     * `model`: Articles by a trained model: `model` names it, else it is the model of the request.
         *     * `generated`: A list that continues the customer's history article by article, the likeliest at every step. Only the request's own model can, and only if it reads sequences.
         *     * `buy_again`: The customer's own articles, by how often and how lately they were bought: each purchase counts half after `half_life_days`, 90 if not given.
         *     * `popular`: What sells best. With `days` (1, 3, 7, 28 or 91) by purchases of that window, else as the server counts sales.
         *     * `popular_in`: What sells best of the last 28 days among articles that share a value of `attribute` with the customer's purchases, the visit or the cart, by how much of each value the customer buys.
         *     * `trending`: What sold more in the last 7 days than in a usual week of the last 28.
         *     * `bought_together`: What customers buy on the same day as the articles of the cart, of the visit, or else of this customer's last week of purchases.
         *     * `similar_taste`: What customers buy who bought the same articles (item-based collaborative filtering), by the cart, the visit and all purchases, old ones counting half after 90 days.
         *     * `ease`: What the linear model EASE expects from the cart, the visit and all purchases, old ones counting half after 90 days. It knows the 2,000 articles that most customers bought in 180 days, and finds what `similar_taste` misses in a small shop.
         *     * `bought_next`: What customers buy next after the articles of the visit or the latest purchases; each article counts `decay` (0.8 if not given) of the next newer one.
         *     * `viewed_together`: What people view on the same day as the articles of the visit, of the cart, or else what this person viewed last (co-visitation), as `POST /v1/events` told in the last 28 days.
         *     * `new_arrivals`: Articles first sold in the last `days` (28 if not given), the newest first; with `attribute`, by the date or Unix time that it holds.
         *     * `variants`: Articles that share a value of `attribute` (the product of which they are a colour, say) with the article asked about, the cart, the visit or the latest purchases, by how well they sell.
         *     * `fixed`: The articles of `article_ids`, in their order.
         *     * `recently_viewed`: The articles that the customer or visitor viewed or clicked, the latest first, as `POST /v1/events` told.
         * @example {
         *       "limit": 20,
         *       "source": "popular",
         *       "weight": 0.5
         *     }
         */
        readonly CandidateSource: {
            /** @description Candidates that it may give; as many as the answer needs if not given. */
            readonly limit?: number;
            /** @enum {string} */
            readonly source: "model" | "generated" | "buy_again" | "popular" | "popular_in" | "trending" | "bought_together" | "similar_taste" | "ease" | "bought_next" | "viewed_together" | "new_arrivals" | "variants" | "fixed" | "recently_viewed";
            /** @description How much its ranks count beside those of others; 1 if not given. */
            readonly weight?: number;
        } & {
            readonly [key: string]: unknown;
        };
        readonly CandidateStage: {
            readonly article_id: string;
            /** @description Rules that changed its strength. */
            readonly rules: readonly string[];
            /** @description The source that ranks it best. */
            readonly source: string;
            /**
             * Format: float
             * @description What candidates are ordered by.
             */
            readonly strength: number;
        };
        readonly CatalogueStatus: {
            readonly articles: number;
            /** @description Names that filters, `fields` and `max_per` may use. */
            readonly attributes: readonly string[];
            readonly available: number;
            /**
             * Format: int64
             * @description Grows with every change of the catalogue.
             */
            readonly version: number;
        };
        /** @description What the person has agreed to. */
        readonly Consent: {
            /**
             * @description Without it is not kept which recommendation led to the event; true if not given.
             * @default true
             */
            readonly analytics: boolean;
            /**
             * @description Without it neither customer nor visitor is kept; true if not given.
             * @default true
             */
            readonly personalization: boolean;
        };
        /** @description How many articles passed each stage. */
        readonly Counts: {
            /** @description Added by popularity because the model found too few. */
            readonly filled: number;
            /** @description Ruled out by availability, filter or exclusion, of the whole catalogue. */
            readonly filtered: number;
            /** @description Found by the model. */
            readonly retrieved: number;
        };
        readonly CustomerBatch: {
            readonly customers: readonly components["schemas"]["CustomerInput"][];
        };
        /** @description Everything that is kept of a customer. */
        readonly CustomerExport: {
            readonly attributes: components["schemas"]["Attributes"];
            readonly customer_id: components["schemas"]["Id"];
            /** @description Told ones, oldest first, with the columns that they have. */
            readonly events: readonly Record<string, never>[];
            /** @description Imported ones. */
            readonly purchases: readonly components["schemas"]["ExportedPurchase"][];
            readonly visitor_ids: readonly components["schemas"]["Id"][];
        };
        /**
         * @description A customer to insert or replace.
         * @example {
         *       "attributes": {
         *         "age": 34,
         *         "club_member_status": "ACTIVE"
         *       },
         *       "customer_id": "c1"
         *     }
         */
        readonly CustomerInput: {
            /**
             * @description Numbers, texts or lists of texts under the shop's own names. They replace those that are
             *     there.
             */
            readonly attributes?: components["schemas"]["Attributes"];
            readonly customer_id: components["schemas"]["Id"];
        };
        readonly CustomersWritten: {
            readonly written: number;
        };
        readonly DatabaseStatus: {
            readonly available: boolean;
            /** @description Why it is away. */
            readonly reason?: string;
        };
        /** @description What an erasure removed. */
        readonly Erasure: {
            /**
             * @description Bundles that were trained before and still hold the id in a vocabulary. It goes with the
             *     bundle: train again, activate the new version and delete these.
             */
            readonly bundles: readonly components["schemas"]["BundleMention"][];
            /** Format: int64 */
            readonly events: number;
            /**
             * @description Whether anything was kept of the person. Whether or not, events and imports that name them
             *     later are refused.
             */
            readonly known: boolean;
            /** Format: int64 */
            readonly purchases: number;
            /** @description Browsers that were the customer's; they are erased, too. */
            readonly visitors: number;
        };
        /**
         * @description What went wrong, for programs.
         * @enum {string}
         */
        readonly ErrorCode: "invalid_json" | "invalid_request" | "invalid_filter" | "invalid_article" | "invalid_placement" | "unknown_attribute" | "unauthorized" | "forbidden" | "not_found" | "unknown_article" | "unknown_model" | "unknown_placement" | "unknown_key" | "unknown_customer" | "method_not_allowed" | "no_previous_version" | "key_exists" | "placement_changed" | "customer_erased" | "bundle_refused" | "body_too_large" | "uri_too_long" | "headers_too_large" | "request_timeout" | "unsupported_media_type" | "rate_limited" | "internal" | "overloaded" | "not_ready" | "database_unavailable" | "timeout" | "still_running";
        /** @description Something that a customer or visitor did. */
        readonly Event: {
            /**
             * Format: date-time
             * @description When it happened (RFC 3339); now if not given. At most 10 minutes in the future, for clocks
             *     that are fast: that counts as now. One older than 30 days is kept, but does not change what
             *     is popular.
             */
            readonly at?: string | null;
            readonly consent?: components["schemas"]["Consent"];
            /**
             * @description Of the prices: three capital letters (ISO 4217).
             * @example EUR
             */
            readonly currency?: string | null;
            readonly customer_id?: components["schemas"]["Id"] | null;
            /**
             * @description Chosen by the sender, such as a UUID: an event that is sent again with the same id is a
             *     duplicate and changes nothing.
             */
            readonly event_id: string;
            /** @description The articles. Only `search` and types of the shop's own may go without. */
            readonly items?: readonly components["schemas"]["EventItem"][];
            /** @description The order of a purchase or return. Each line of an order counts once, whoever tells it. */
            readonly order_id?: string | null;
            /**
             * @description `view`, `click`, `cart_add`, `cart_remove`, `purchase`, `return`, `impression`, `dislike`,
             *     `wishlist`, `search`, or a type that the server's configuration registers.
             * @example view
             */
            readonly type: string;
            readonly visitor_id?: components["schemas"]["Id"] | null;
        };
        /**
         * @description Events of a shop, in any order.
         * @example {
         *       "events": [
         *         {
         *           "at": "2026-01-31T12:00:00.000Z",
         *           "currency": "EUR",
         *           "customer_id": "c1",
         *           "event_id": "0198c0de-0000-7000-8000-000000000000",
         *           "items": [
         *             {
         *               "article_id": "0706016001",
         *               "price": 19.9,
         *               "quantity": 2
         *             }
         *           ],
         *           "order_id": "o-1001",
         *           "type": "purchase"
         *         }
         *       ]
         *     }
         */
        readonly EventBatch: {
            /** @description One that cannot be taken refuses only itself. */
            readonly events: readonly components["schemas"]["Event"][];
        };
        /** @description An article of an event. */
        readonly EventItem: {
            /** @description It need not be in the catalogue yet. */
            readonly article_id: components["schemas"]["Id"];
            /**
             * @description What tells two lines of an order with the same article apart; without it, they are told
             *     apart by their order in the event.
             */
            readonly line?: string | null;
            /**
             * Format: int32
             * @description The place in that answer, from 1. The `recommendation_id` knows it, too, and is right.
             */
            readonly position?: number | null;
            /**
             * Format: double
             * @description Of one piece.
             */
            readonly price?: number | null;
            /**
             * Format: double
             * @description 1 if not given.
             */
            readonly quantity?: number;
            /** @description The `recommendation_id` of the answer that the customer found the article in. */
            readonly recommendation_id?: string | null;
        };
        /**
         * @description What can be wrong with an event.
         * @enum {string}
         */
        readonly EventProblem: "invalid_event" | "unknown_type" | "missing_subject" | "missing_items" | "bad_id" | "bad_time" | "too_far_in_the_future" | "bad_item" | "erased";
        /** @description Why an event was not taken. */
        readonly EventRejected: {
            readonly code: components["schemas"]["EventProblem"];
            /** @description What is wrong and what to do. */
            readonly detail: string;
            /** @description Place in the request, from 0. */
            readonly index: number;
        };
        /** @description What became of the events. */
        readonly EventsTaken: {
            /** @description In the database now. */
            readonly accepted: number;
            /** @description Sent before; nothing has changed. */
            readonly duplicate: number;
            /** @description Nothing of these is kept; sending them again as they are does not help. */
            readonly rejected: readonly components["schemas"]["EventRejected"][];
            /** @description These are taken, but without the answer that they name. */
            readonly unattributed?: readonly components["schemas"]["EventUnattributed"][];
        };
        /** @description Why an event does not count as the success of an answer. */
        readonly EventUnattributed: {
            readonly detail: string;
            /** @description Place in the request, from 0. */
            readonly index: number;
        };
        /** @description What must not be answered. */
        readonly Exclude: {
            readonly article_ids?: readonly components["schemas"]["Id"][];
            /** @description What the customer or visitor dislikes and has not wanted since; true if not given. */
            readonly disliked?: boolean | null;
            /** @description The customer's purchases. */
            readonly purchased?: boolean;
            /**
             * Format: int32
             * @description The customer's purchases of so many last days.
             */
            readonly purchased_within_days?: number | null;
            /**
             * Format: int32
             * @description What the customer or visitor was shown so many times in the last 24 hours, as impressions
             *     tell.
             */
            readonly seen_times_today?: number | null;
        };
        readonly ExportedPurchase: {
            readonly article_id: components["schemas"]["Id"];
            /** Format: date-time */
            readonly at: string;
            /** Format: double */
            readonly price: number | null;
        };
        /**
         * @description Why the answer is less than what was asked for.
         * @enum {string}
         */
        readonly Fallback: "unknown_customer" | "unknown_to_model" | "anonymous" | "no_vector";
        /**
         * @description Conditions on attributes, all of which must hold. `all`, `any` and `not` combine whole filters, at most 8 deep and with at most 256 conditions, and `article_ids` names articles; an attribute of one of these names cannot be filtered on.
         * @example {
         *       "colour_group_name": [
         *         "Black",
         *         "White"
         *       ],
         *       "not": {
         *         "index_group_name": "Divided"
         *       },
         *       "price": {
         *         "min": 5
         *       }
         *     }
         */
        readonly Filter: { readonly [attribute: string]: components["schemas"]["FilterCondition"] | components["schemas"]["Filter"] | readonly components["schemas"]["Filter"][] };
        /** @description What the value of one attribute must be. */
        readonly FilterCondition: components["schemas"]["FilterValue"] | readonly components["schemas"]["FilterValue"][] | components["schemas"]["FilterRange"] | components["schemas"]["FilterNegation"] | components["schemas"]["FilterExistence"] | components["schemas"]["FilterDays"] | components["schemas"]["FilterSameAs"] | components["schemas"]["FilterDiffersFrom"];
        /** @description A date so many whole days before the request, both ends included, and not after it. Dates are texts (2026-01-31, or RFC 3339) or numbers of seconds since 1970. */
        readonly FilterDays: {
            /** @description The greatest age in days. */
            readonly max_days_ago?: number;
            /** @description The least age in days; 0 if not given. */
            readonly min_days_ago?: number;
        };
        /** @description No value that the article asked about has, or else the article looked at last in the visit. Without one the condition is left out. */
        readonly FilterDiffersFrom: {
            /** @enum {string} */
            readonly differs_from: "article";
        };
        /** @description Whether the article has a value. */
        readonly FilterExistence: {
            readonly exists: boolean;
        };
        /** @description Anything but this, no value at all included. */
        readonly FilterNegation: {
            readonly not: components["schemas"]["FilterCondition"];
        };
        /** @description A number in a range, both ends included. */
        readonly FilterRange: {
            /** @description The greatest number. */
            readonly max?: number;
            /** @description The least number. */
            readonly min?: number;
        };
        /** @description A value that the article asked about has, or else the article looked at last in the visit. Without one the condition is left out, and a warning says so. */
        readonly FilterSameAs: {
            /** @enum {string} */
            readonly same_as: "article";
        };
        /** @description This value. An attribute that holds a list matches if one of its values does. */
        readonly FilterValue: string | number | boolean;
        /** @description A source that found an article. */
        readonly FoundBy: {
            /** @description Its place among what the source found, from 1. */
            readonly rank: number;
            /**
             * Format: float
             * @description As the source counts.
             */
            readonly score: number;
            readonly source: string;
        };
        readonly Health: {
            /** @description Whether the database answers; without it answers go on with what is known. */
            readonly database?: boolean;
            /** @description What makes the server `degraded`. */
            readonly reasons?: readonly string[];
            readonly status: components["schemas"]["HealthStatus"];
        };
        /** @enum {string} */
        readonly HealthStatus: "live" | "ready" | "degraded";
        /**
         * @description The shop's own id, without control characters.
         * @example 0706016001
         */
        readonly Id: string;
        /** @description A rule that a request does without. */
        readonly IgnoredRule: {
            readonly reason: string;
            readonly rule: string;
        };
        /** @description A key without its secret. */
        readonly Key: {
            /** Format: date-time */
            readonly created_at: string;
            readonly name: string;
            /**
             * Format: int32
             * @description Most requests in a second; null for the limit of the configuration.
             */
            readonly requests_per_second: number | null;
            readonly scopes: readonly string[];
            /**
             * Format: date-time
             * @description The key is void from then on; null while it is in use.
             */
            readonly withdrawn_at: string | null;
        };
        readonly KeyList: {
            /** @description In the order they were made. */
            readonly keys: readonly components["schemas"]["Key"][];
        };
        /**
         * @description A key to be made.
         * @example {
         *       "name": "shop-frontend",
         *       "requests_per_second": 200,
         *       "scopes": [
         *         "recommend"
         *       ]
         *     }
         */
        readonly KeyRequest: {
            /** @description By which logs and the audit name the key; no other key in use may have it. */
            readonly name: string;
            /**
             * Format: int32
             * @description Most requests in a second; the limit of the configuration if not given.
             */
            readonly requests_per_second?: number | null;
            readonly scopes: readonly components["schemas"]["Scope"][];
        };
        /** @description How an article of a generated list is chosen. */
        readonly ListGeneration: {
            /** @enum {string} */
            readonly method: "greedy";
        } | {
            /** @enum {string} */
            readonly method: "beam";
            readonly width?: number;
        } | {
            /** @enum {string} */
            readonly method: "sample";
            /** Format: int64 */
            readonly seed?: number;
            /**
             * Format: float
             * @description Below 1, likely articles become likelier; 1 if not given.
             */
            readonly temperature?: number;
            /**
             * Format: float
             * @description Draw from the fewest articles that have this much of the probability together; 1 if not
             *     given.
             */
            readonly top_p?: number;
        };
        /** @description How an answer came about. */
        readonly Meta: {
            readonly counts: components["schemas"]["Counts"];
            readonly fallback: components["schemas"]["Fallback"] | null;
            /** @description Rules of the placement that this answer does without, and why. */
            readonly ignored_rules?: readonly components["schemas"]["IgnoredRule"][];
            readonly model: components["schemas"]["ServedModel"];
            /** @description The placement that answered. */
            readonly placement?: components["schemas"]["ServedPlacement"];
            /** @description The caller's `x-request-id`, or a new one. */
            readonly request_id: string;
            /**
             * @description What each source gave, where the request or its placement names sources, unless that tells
             *     purchases that the caller may not know.
             */
            readonly sources?: readonly components["schemas"]["SourceCount"][];
            readonly strategy: components["schemas"]["Strategy"];
            /**
             * Format: int64
             * @description Microseconds from the arrival of the request.
             */
            readonly took_us: number;
            /** @description Those of `article_ids` that the catalogue lacks. They stand last in the list. */
            readonly unknown_article_ids?: readonly components["schemas"]["Id"][];
            /** @description Values of the filter that no article has: misspelt, perhaps. At most 16 are named. */
            readonly unmatched_filter_values?: readonly components["schemas"]["UnmatchedValue"][];
            readonly warnings: readonly components["schemas"]["Warning"][];
        };
        readonly ModelActivation: {
            /**
             * @description Make this the model of requests that name none. The first model ever activated is that
             *     anyway.
             */
            readonly default?: boolean;
            /** @example 20260131T120000000Z-1a2b3c4d */
            readonly version: string;
        };
        /** @description What serves now. */
        readonly ModelChange: {
            readonly name: string;
            /** @description What served before, where it is known and another. */
            readonly previous: string | null;
            readonly version: string;
        };
        /** @description What no longer serves. */
        readonly ModelDeactivation: {
            readonly name: string;
            /** @description The version that was active. */
            readonly version: string;
        };
        readonly ModelList: {
            /** @description By name, newest version first. */
            readonly models: readonly components["schemas"]["ModelVersion"][];
        };
        readonly ModelStatus: {
            /** @description The active version, where it could not be loaded and another one stands in. */
            readonly active_version?: string | null;
            readonly default: boolean;
            /** @description Length of a vector; 0 for a model that counts purchases. */
            readonly dim: number;
            /** @description Articles the model was trained with. */
            readonly items: number;
            readonly name: string;
            /** @description Articles of the catalogue that are newer than the model. */
            readonly new_articles: number;
            readonly version: string;
        };
        readonly ModelVersion: {
            /** @description What the database says; replicas follow it. */
            readonly active: boolean;
            readonly name: string;
            /** @description Whether this server answers from it. */
            readonly served: boolean;
            readonly version: string;
        };
        /** @description A new key. The secret is told this once. */
        readonly NewKeyBody: {
            /** @description Send it as `authorization: Bearer <key>`. The server keeps only a hash of it. */
            readonly key: string;
            readonly name: string;
            readonly scopes: readonly components["schemas"]["Scope"][];
        };
        readonly PickStage: {
            readonly article_id: string;
            /** @description `candidate`, `fallback` or `popularity`. */
            readonly origin: string;
            readonly rules: readonly string[];
            readonly source: string;
        };
        /** @description A placement as it is saved or built in. */
        readonly Placement: {
            /**
             * Format: date-time
             * @description When this version was saved; null for a built-in placement.
             */
            readonly created_at: string | null;
            /**
             * @description By the key of this name, or `cli:` and the user of a command line; null for a built-in
             *     placement.
             */
            readonly created_by: string | null;
            readonly definition: components["schemas"]["PlacementDefinition"] | null;
            /**
             * @description Parts of the definition that this server leaves out, because the catalogue or the models
             *     lack what they name.
             */
            readonly ignored: readonly string[];
            readonly name: string;
            /**
             * Format: int64
             * @description The current version; 0 for a built-in placement.
             */
            readonly version: number;
        };
        /**
         * @description How the articles of a place in the shop are found. Everything may be left out.
         * @example {
         *       "exclude": {
         *         "purchased_within_days": 30
         *       },
         *       "fields": [
         *         "prod_name",
         *         "price"
         *       ],
         *       "filter": {
         *         "index_group_name": "Ladieswear"
         *       },
         *       "k": 8,
         *       "max_per": {
         *         "product_code": 1
         *       },
         *       "sources": [
         *         {
         *           "source": "model"
         *         },
         *         {
         *           "limit": 20,
         *           "source": "popular",
         *           "weight": 0.5
         *         }
         *       ]
         *     }
         */
        readonly PlacementDefinition: {
            /** @description How unlike each other the articles shall be: 0, not at all, to 1, above all; 0 if not given. */
            readonly diversity?: number;
            readonly exclude?: components["schemas"]["PlacementExclude"];
            /** @description Sources that are asked, one after the other, while an answer is too short. */
            readonly fallback?: readonly components["schemas"]["CandidateSource"][];
            /** @description Attributes to return with every article. */
            readonly fields?: readonly string[];
            readonly filter?: components["schemas"]["Filter"];
            /** @description Articles of an answer where the request does not say; 12 if not given. */
            readonly k?: number;
            readonly max_per?: components["schemas"]["Quotas"];
            /** @description The model to ask; the default model if not given. */
            readonly model?: string | null;
            /** @description What the answers must hold to, whatever the model says. */
            readonly rules?: readonly components["schemas"]["PlacementRule"][];
            /** @description Where candidates come from; the model alone if none is given. */
            readonly sources?: readonly components["schemas"]["CandidateSource"][];
        };
        /** @description What the placement never answers. */
        readonly PlacementExclude: {
            readonly article_ids?: readonly components["schemas"]["Id"][];
            /** @description What the customer dislikes; true if not given. */
            readonly disliked?: boolean;
            /** @description The customer's purchases. */
            readonly purchased?: boolean;
            /** @description The customer's purchases of so many last days. */
            readonly purchased_within_days?: number | null;
            /** @description What the customer was shown so many times in the last 24 hours. */
            readonly seen_times_today?: number | null;
        };
        readonly PlacementList: {
            /** @description By name. */
            readonly placements: readonly components["schemas"]["Placement"][];
        };
        /** @description How an answer comes about. */
        readonly PlacementPreview: {
            /** @description What the public route answers, with reasons. */
            readonly answer: components["schemas"]["RecommendationResponse"];
            /** @description Parts of the definition that this server leaves out, and why. */
            readonly ignored: readonly string[];
            /**
             * @description What each step did: what the sources found, how it was ranked, what the rules did, what was
             *     picked. Steps that tell purchases need a key with the scope `read-purchases`, too.
             */
            readonly stages: components["schemas"]["Stages"];
        };
        /** @description What to try. */
        readonly PlacementPreviewRequest: {
            readonly definition?: components["schemas"]["PlacementDefinition"] | null;
            /** @description Whose answer to see; a guest's if not given. */
            readonly request?: components["schemas"]["PlacementRequest"];
        };
        /**
         * @description Who asks, and what about. Everything else is the placement's.
         * @example {
         *       "cart": [
         *         "0706016001"
         *       ],
         *       "customer_id": "00000dbacae5abe5e23885899a1fa44253a17956c6d1c3d25f88aa139fdfc657",
         *       "k": 6
         *     }
         */
        readonly PlacementRequest: {
            readonly article_id?: components["schemas"]["Id"] | null;
            /** @description Articles in the customer's cart, the latest first. They are not answered back. */
            readonly cart?: readonly components["schemas"]["Id"][];
            readonly customer_id?: components["schemas"]["Id"] | null;
            /**
             * @description Return reasons with every article. Reasons that tell the customer's purchases need a key
             *     with the scope `read-purchases`.
             */
            readonly explain?: boolean;
            /** @description How many articles; as many as the placement says if not given. */
            readonly k?: number | null;
            /** @description Leave out the first so many articles. Send `offset` with every page, 0 with the first. */
            readonly offset?: number | null;
            readonly session?: components["schemas"]["Session"];
            readonly visitor_id?: components["schemas"]["Id"] | null;
        };
        /**
         * @description A rule. Its kind wants parameters of its own.
         *     * `boost`: Articles of `filter` come earlier: their strength counts `factor` times, a number above 1 and up to 1000.
         *     * `bury`: Articles of `filter` come later: their strength counts `factor` times, a number below 1 and at least 0.001.
         *     * `promote`: At least so many articles are of `filter`, spread evenly: `at_least` of the placement's `k`, or `share` of the list, above 0 and up to 1.
         *     * `pin`: The article `article_id` stands at `position`, from 1, unless the request's filter, its exclusions or the availability forbid it.
         *     * `hide`: Articles of `filter` are never answered, whatever finds them.
         * @example {
         *       "factor": 1.3,
         *       "filter": {
         *         "season": "summer"
         *       },
         *       "name": "summer first",
         *       "rule": "boost"
         *     }
         */
        readonly PlacementRule: {
            /** @description The first moment at which it holds; a date or RFC 3339. */
            readonly from?: string;
            /** @description Explanations show it. */
            readonly name: string;
            /** @enum {string} */
            readonly rule: "boost" | "bury" | "promote" | "pin" | "hide";
            /** @description The first moment at which it holds no more; a date or RFC 3339. */
            readonly until?: string;
        } & {
            readonly [key: string]: unknown;
        };
        /** @description A placement, saved or built in. */
        readonly PlacementStatus: {
            /** @description Parts of the definition that no longer fit the catalogue or the models, and are left out. */
            readonly ignored: readonly string[];
            readonly name: string;
            /**
             * @description Why the saved definition does not serve. Where there is a built-in placement of this name,
             *     that one answers.
             */
            readonly problem?: string;
            /**
             * Format: int64
             * @description 0 for a built-in one.
             */
            readonly version: number;
        };
        /** @description A version of a placement. */
        readonly PlacementVersion: {
            /** Format: date-time */
            readonly created_at: string;
            readonly created_by: string;
            readonly definition: components["schemas"]["PlacementDefinition"] | null;
            /**
             * Format: int64
             * @description The version whose definition a rollback brought back; null for other changes.
             */
            readonly restores: number | null;
            /** Format: int64 */
            readonly version: number;
        };
        readonly PlacementVersions: {
            /** @description The newest first. */
            readonly versions: readonly components["schemas"]["PlacementVersion"][];
        };
        /**
         * @description An RFC 9457 problem document.
         * @example {
         *       "code": "unknown_attribute",
         *       "detail": "the catalogue has no attribute `color`; it has: colour_group_name, price",
         *       "request_id": "0198c0de-0000-7000-8000-000000000000",
         *       "status": 400,
         *       "title": "Unknown attribute",
         *       "type": "urn:vitrine:error:unknown_attribute"
         *     }
         */
        readonly Problem: {
            readonly code: components["schemas"]["ErrorCode"];
            /** @description What was wrong this time and what to do. */
            readonly detail: string;
            readonly request_id: string;
            /** Format: int32 */
            readonly status: number;
            /** @description The kind of problem in words. */
            readonly title: string;
            /** @description Names the kind of problem: `urn:vitrine:error:` and the code. */
            readonly type: string;
        };
        /**
         * @description How many articles may share a value of an attribute, by attribute.
         * @example {
         *       "product_code": 1
         *     }
         */
        readonly Quotas: {
            readonly [key: string]: number;
        };
        /** @description One ranked article. */
        readonly RankedArticle: {
            /** @description The attributes asked for with `fields`; those that the article lacks are left out. */
            readonly article?: components["schemas"]["Attributes"];
            readonly article_id: components["schemas"]["Id"];
            /** @description The place in the whole list, from 1. */
            readonly rank: number;
            /**
             * @description With `explain`, where a learned ranker has ordered the list: what speaks most for the
             *     article. Needs a key with the scope `read-purchases`.
             */
            readonly ranked_by?: readonly components["schemas"]["RankedBy"][];
            /** @description With `explain`. */
            readonly reasons?: readonly components["schemas"]["Reason"][];
            /** @description With `explain`: the names of the placement's rules that touched the article. */
            readonly rules?: readonly string[];
            /**
             * Format: float
             * @description Higher is better; comparable only between articles of the same source in the same answer.
             */
            readonly score: number;
            /**
             * @description The source that ranks the article best. `model`: nearest to the query vector, with their
             *     inner product as the score, or bought before, with the decayed count of those purchases.
             *     `generated`: continues the history and the articles before it; the score is the log of its
             *     probability. `popular`: sells well; the score is its purchases, old ones counting less.
             *     `catalogue`: eligible, but without known sales. `unknown`: named in `article_ids` and not in
             *     the catalogue. Others are those that the request or its placement names. `personal`: not
             *     told, because a source of this answer finds what the customer bought and the key lacks the
             *     scope `read-purchases`; the score is then 1 / rank.
             * @example model
             */
            readonly source: string;
            /**
             * @description With `explain`: the sources that found the article, with its rank and score in each; none
             *     where they are not told.
             */
            readonly sources?: readonly components["schemas"]["FoundBy"][];
        };
        /** @description What speaks for an article in the eyes of a ranker. */
        readonly RankedBy: {
            readonly aspect: components["schemas"]["Aspect"];
            /** @description Of the aspect `attribute`: which one. */
            readonly attribute?: string;
            /**
             * Format: float
             * @description How much lower the article would score if it were in this like the mean candidate of the
             *     list.
             */
            readonly weight: number;
        };
        /** @description Why an article is in the answer. */
        readonly Reason: {
            /** @enum {string} */
            readonly kind: "bought_before";
            readonly times: number;
        } | {
            readonly article_id: string;
            /** @enum {string} */
            readonly kind: "like_purchased";
            /** Format: float */
            readonly similarity: number;
        } | {
            readonly article_id: string;
            /** @enum {string} */
            readonly kind: "like_seen";
            /** Format: float */
            readonly similarity: number;
        } | {
            /** @enum {string} */
            readonly kind: "best_seller";
            readonly rank: number;
        };
        /** @description What came of recommendations in a span of time. */
        readonly RecommendationReport: {
            /**
             * Format: date-time
             * @description Events at this moment or later.
             */
            readonly from: string;
            readonly rows: readonly components["schemas"]["ReportRow"][];
            /**
             * Format: date-time
             * @description And before this one.
             */
            readonly until: string;
        };
        /**
         * @description What is wanted, for whom. Without a customer and a visit the answer is what sells best.
         * @example {
         *       "customer_id": "00000dbacae5abe5e23885899a1fa44253a17956c6d1c3d25f88aa139fdfc657",
         *       "exclude": {
         *         "purchased": true
         *       },
         *       "fields": [
         *         "prod_name",
         *         "price"
         *       ],
         *       "filter": {
         *         "index_group_name": "Ladieswear",
         *         "price": {
         *           "max": 30
         *         }
         *       },
         *       "k": 12,
         *       "max_per": {
         *         "product_code": 1
         *       }
         *     }
         */
        readonly RecommendationRequest: {
            /**
             * @description Rank only these articles. Those that are sold out, filtered out or excluded are left out;
             *     ids that the catalogue lacks come last.
             */
            readonly article_ids?: readonly components["schemas"]["Id"][] | null;
            /**
             * Format: date-time
             * @description The moment of the query, such as 2026-01-31T12:00:00Z; now if not given. A date means its
             *     first moment (UTC). Purchases made at that moment or later are not known to the answer.
             */
            readonly at?: string | null;
            /** @description Articles in the customer's cart, the latest first. They are not answered back. */
            readonly cart?: readonly components["schemas"]["Id"][];
            readonly customer_id?: components["schemas"]["Id"] | null;
            readonly exclude?: components["schemas"]["Exclude"];
            /**
             * @description Return reasons with every article. Reasons that tell the customer's purchases need a key
             *     with the scope `read-purchases`.
             */
            readonly explain?: boolean;
            /** @description Attributes to return with every article. */
            readonly fields?: readonly string[];
            readonly filter?: components["schemas"]["Filter"];
            readonly generation?: components["schemas"]["ListGeneration"] | null;
            /** @description How many articles; 12 if not given. */
            readonly k?: number;
            /** @description How many articles may share a value of an attribute, by attribute. */
            readonly max_per?: components["schemas"]["Quotas"];
            /** @description The default model if not given. */
            readonly model?: string | null;
            /**
             * @description Leave out the first so many articles. Send `offset` with every page, 0 with the first: pages
             *     are then parts of one list, and no article is on two of them while the model and the
             *     catalogue stay the same. Not with `generation`.
             */
            readonly offset?: number | null;
            readonly session?: components["schemas"]["Session"];
            /** @description Where candidates come from; the model alone if none is given. Not with `generation`. */
            readonly sources?: readonly components["schemas"]["CandidateSource"][];
            readonly visitor_id?: components["schemas"]["Id"] | null;
        };
        /** @description Ranked articles and how they came about. */
        readonly RecommendationResponse: {
            readonly items: readonly components["schemas"]["RankedArticle"][];
            readonly meta: components["schemas"]["Meta"];
            /**
             * @description Identifies the answer: send it with the events that come from it. It holds nothing of the
             *     customer. Left out while the database was never reached.
             */
            readonly recommendation_id?: string;
        };
        /** @description A bundle that did not come to serve. */
        readonly Refusal: {
            /**
             * Format: date-time
             * @description UTC.
             */
            readonly at: string;
            readonly model: string;
            readonly reason: string;
            readonly version: string;
        };
        /** @description The sums of one group of events. */
        readonly ReportRow: {
            /**
             * Format: int64
             * @description Orders of somebody who clicked a recommended article within the seven days before, and whose
             *     purchases name no answer. The last click has them.
             */
            readonly assisted_orders: number;
            /**
             * Format: double
             * @description Prices of the pieces of those orders, less those that came back.
             */
            readonly assisted_revenue: number;
            /**
             * Format: int64
             * @description Articles put into the cart.
             */
            readonly carts: number;
            /**
             * Format: double
             * @description Clicks per impression; null without impressions.
             */
            readonly click_rate: number | null;
            /** Format: int64 */
            readonly clicks: number;
            /**
             * @description What tells this group apart: the dimensions of `by` and their values. A placement is named,
             *     other answers by the path of their route. Null: the events have no value, such as a
             *     currency.
             */
            readonly group: {
                readonly [key: string]: string | null;
            };
            /** Format: int64 */
            readonly impressions: number;
            /**
             * Format: int64
             * @description Orders with a purchase that names the answer it comes from.
             */
            readonly orders: number;
            /**
             * Format: double
             * @description Prices of the pieces that came back.
             */
            readonly returned: number;
            /**
             * Format: double
             * @description Prices of those pieces.
             */
            readonly revenue: number;
            /**
             * Format: double
             * @description Pieces of those purchases, less those that came back.
             */
            readonly units: number;
        };
        readonly RuleStage: {
            /** @description Articles of this page that it touched. */
            readonly answered: number;
            /** @description Available articles that it hides. */
            readonly hidden: number;
            readonly kind: string;
            /** @description Why it is ignored. */
            readonly reason?: string | null;
            readonly rule: string;
            readonly state: components["schemas"]["RuleState"];
            /** @description Candidates whose strength it changed. */
            readonly weighed: number;
        };
        /** @enum {string} */
        readonly RuleState: "in_force" | "not_now" | "ignored";
        /**
         * @description What a key may do.
         * @enum {string}
         */
        readonly Scope: "recommend" | "read-purchases" | "write" | "placements" | "events" | "customers" | "monitor" | "admin";
        readonly ScoredArticle: {
            readonly article_id: string;
            /** Format: float */
            readonly score: number;
        };
        /** @description The model that answered. */
        readonly ServedModel: {
            /** @example retrieval */
            readonly name: string;
            /** @example 20260131T120000000Z-1a2b3c4d */
            readonly version: string;
        };
        /** @description The placement that answered. */
        readonly ServedPlacement: {
            /**
             * @description Keys of its definition that were left out, because the catalogue or the models lack what
             *     they name.
             */
            readonly ignored: readonly string[];
            /** @example home */
            readonly name: string;
            /**
             * Format: int64
             * @description 0 for a built-in one, and for one that is only tried.
             */
            readonly version: number;
        };
        /** @description The visit of a guest or customer. */
        readonly Session: {
            /** @description Articles looked at, newest first. They are not answered back. */
            readonly article_ids?: readonly components["schemas"]["Id"][];
        };
        /** @description What a source gave. */
        readonly SourceCount: {
            /** @description Articles of this answer that it ranked best of all sources. */
            readonly answered: number;
            /** @description Candidates that it found. */
            readonly found: number;
            /** @description Whether it failed or had no time left: the answer does without it. */
            readonly left_out: boolean;
            readonly source: string;
        };
        readonly SourceStage: {
            readonly articles: readonly components["schemas"]["ScoredArticle"][];
            readonly left_out: boolean;
            readonly source: string;
        };
        /** @description What the steps of an answer did, each with at most 300 articles. */
        readonly Stages: {
            /** @description The answer, place by place. */
            readonly picks: readonly components["schemas"]["PickStage"][];
            /** @description The candidates of all sources as they were ranked. */
            readonly ranked: readonly components["schemas"]["CandidateStage"][];
            /** @description The same after the rules. */
            readonly ruled: readonly components["schemas"]["CandidateStage"][];
            /** @description What became of each rule. */
            readonly rules: readonly components["schemas"]["RuleStage"][];
            /** @description What each source found, the best first. */
            readonly sources: readonly components["schemas"]["SourceStage"][];
            /** @description Whether the stages of candidates are left out, because they tell purchases. */
            readonly withheld: boolean;
        };
        /** @description The state of the server. */
        readonly Status: {
            readonly catalogue: components["schemas"]["CatalogueStatus"] | null;
            readonly database: components["schemas"]["DatabaseStatus"];
            readonly models: readonly components["schemas"]["ModelStatus"][];
            readonly placements: readonly components["schemas"]["PlacementStatus"][];
            /** @description Whether the default model can answer. */
            readonly ready: boolean;
            /** @description Why it cannot, or what answers are worse than they should be for. */
            readonly reasons: readonly string[];
            /** @description Bundles that were refused, the latest of each model; gone once the model loads again. */
            readonly refusals: readonly components["schemas"]["Refusal"][];
        };
        /**
         * @description How the query was formed.
         * @enum {string}
         */
        readonly Strategy: "personalised" | "session" | "generated" | "similar" | "popular" | "pipeline";
        /** @description A value that a filter names and no article has: probably a misspelling. */
        readonly UnmatchedValue: {
            readonly attribute: string;
            readonly value: string;
        };
        readonly VisitorMerge: {
            /** @description The visitor who turned out to be the customer. */
            readonly visitor_id: components["schemas"]["Id"];
        };
        /**
         * @description Something the caller may want to know.
         * @enum {string}
         */
        readonly Warning: "customer_data_unavailable" | "customer_data_stale" | "catalogue_unavailable" | "unknown_session_articles" | "session_not_used" | "unknown_article_ids" | "placement_reduced" | "source_left_out" | "ranker_left_out" | "unmatched_filter_values" | "purchases_not_told" | "rule_ignored" | "condition_left_out";
    };
    responses: {
        /** @description The request is wrong; `detail` says what to mend (codes: `invalid_json`, `invalid_request`, `invalid_filter`, `unknown_attribute`) */
        readonly BadRequest: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "invalid_json",
                 *       "detail": "The request is wrong; `detail` says what to mend",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 400,
                 *       "title": "Invalid JSON",
                 *       "type": "urn:vitrine:error:invalid_json"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The state of the server does not allow it (codes: `no_previous_version`, `key_exists`, `placement_changed`, `customer_erased`) */
        readonly Conflict: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "no_previous_version",
                 *       "detail": "The state of the server does not allow it",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 409,
                 *       "title": "No such version",
                 *       "type": "urn:vitrine:error:no_previous_version"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The key lacks the scope that this needs (codes: `forbidden`) */
        readonly Forbidden: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "forbidden",
                 *       "detail": "The key lacks the scope that this needs",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 403,
                 *       "title": "Forbidden",
                 *       "type": "urn:vitrine:error:forbidden"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description A fault of the server; its log has more under the request id (codes: `internal`) */
        readonly Internal: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "internal",
                 *       "detail": "A fault of the server; its log has more under the request id",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 500,
                 *       "title": "Internal error",
                 *       "type": "urn:vitrine:error:internal"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no such article, model, placement, key or customer (codes: `not_found`, `unknown_article`, `unknown_model`, `unknown_placement`, `unknown_key`, `unknown_customer`) */
        readonly NotFound: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "not_found",
                 *       "detail": "There is no such article, model, placement, key or customer",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 404,
                 *       "title": "Not found",
                 *       "type": "urn:vitrine:error:not_found"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description What the request names is damaged or does not fit; nothing was changed (codes: `bundle_refused`, `invalid_article`, `invalid_placement`) */
        readonly Refused: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "bundle_refused",
                 *       "detail": "What the request names is damaged or does not fit; nothing was changed",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 422,
                 *       "title": "Bundle refused",
                 *       "type": "urn:vitrine:error:bundle_refused"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body did not arrive in time (codes: `request_timeout`) */
        readonly RequestTimeout: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "request_timeout",
                 *       "detail": "The body did not arrive in time",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 408,
                 *       "title": "Request too slow",
                 *       "type": "urn:vitrine:error:request_timeout"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The work takes longer than the server waits for it, and goes on (codes: `still_running`) */
        readonly StillRunning: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "still_running",
                 *       "detail": "The work takes longer than the server waits for it, and goes on",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 504,
                 *       "title": "Still running",
                 *       "type": "urn:vitrine:error:still_running"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is too large (codes: `body_too_large`) */
        readonly TooLarge: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "body_too_large",
                 *       "detail": "The body is too large",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 413,
                 *       "title": "Body too large",
                 *       "type": "urn:vitrine:error:body_too_large"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The key or the address sends too many requests; wait as many seconds as `Retry-After` says (codes: `rate_limited`) */
        readonly TooManyRequests: {
            headers: {
                /** @description Seconds to wait */
                readonly "Retry-After"?: number;
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "rate_limited",
                 *       "detail": "The key or the address sends too many requests; wait as many seconds as `Retry-After` says",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 429,
                 *       "title": "Too many requests",
                 *       "type": "urn:vitrine:error:rate_limited"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The key is missing or wrong (codes: `unauthorized`) */
        readonly Unauthorized: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "unauthorized",
                 *       "detail": "The key is missing or wrong",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 401,
                 *       "title": "Unauthorized",
                 *       "type": "urn:vitrine:error:unauthorized"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Try again after the seconds of `Retry-After` (codes: `overloaded`, `not_ready`, `database_unavailable`, `timeout`) */
        readonly Unavailable: {
            headers: {
                /** @description Seconds to wait */
                readonly "Retry-After"?: number;
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "overloaded",
                 *       "detail": "Try again after the seconds of `Retry-After`",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 503,
                 *       "title": "Overloaded",
                 *       "type": "urn:vitrine:error:overloaded"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is not JSON (codes: `unsupported_media_type`) */
        readonly UnsupportedMediaType: {
            headers: {
                readonly [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "code": "unsupported_media_type",
                 *       "detail": "The body is not JSON",
                 *       "request_id": "0198c0de-0000-7000-8000-000000000000",
                 *       "status": 415,
                 *       "title": "Unsupported media type",
                 *       "type": "urn:vitrine:error:unsupported_media_type"
                 *     }
                 */
                readonly "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    readonly put_articles: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ArticleBatch"];
            };
        };
        readonly responses: {
            /** @description All of them are written and served */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ArticlesWritten"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 422: components["responses"]["Refused"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly delete_article: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The article's id */
                readonly id: components["schemas"]["Id"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The article is deleted */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly set_availability: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["AvailabilityChange"];
            };
        };
        readonly responses: {
            /** @description The change is served */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["AvailabilityChanged"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly list_attributes: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description All attributes */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["AttributeList"];
                };
            };
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly declare_attribute: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The attribute */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["AttributeDeclaration"];
            };
        };
        readonly responses: {
            /** @description The attribute has this kind */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Attribute"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 422: components["responses"]["Refused"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly list_audit: {
        readonly parameters: {
            readonly query?: {
                /** @description Only rows with an id below this one. */
                readonly before?: number;
                /** @description JSON if not given. */
                readonly format?: "json" | "jsonl" | "csv";
                /** @description How many rows at most; 100 if not given. */
                readonly limit?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Changes, the latest first */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["AuditPage"];
                    readonly "application/jsonl": string;
                    readonly "text/csv": string;
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly put_customers: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["CustomerBatch"];
            };
        };
        readonly responses: {
            /** @description All of them are written */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["CustomersWritten"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 409: components["responses"]["Conflict"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly erase_customer: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The customer's id */
                readonly id: components["schemas"]["Id"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Nothing of the customer is kept */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Erasure"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly export_customer: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The customer's id */
                readonly id: components["schemas"]["Id"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Attributes, visitors, purchases and events */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["CustomerExport"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly merge_visitor: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The customer's id */
                readonly id: components["schemas"]["Id"];
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["VisitorMerge"];
            };
        };
        readonly responses: {
            /** @description What the visitor did and will do is the customer's */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 409: components["responses"]["Conflict"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly list_keys: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description All keys, withdrawn ones included */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["KeyList"];
                };
            };
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly create_key: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["KeyRequest"];
            };
        };
        readonly responses: {
            /** @description The key, told this once */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["NewKeyBody"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 409: components["responses"]["Conflict"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly withdraw_key: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The key */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The key is void */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly report_recommendations: {
        readonly parameters: {
            readonly query?: {
                /**
                 * @description What to tell apart, separated by commas: `placement`, `model`, `version`, `source`,
                 *     `position`, `day`, `currency`. Only `placement` if not given. Name `currency` where the shop
                 *     sells in several.
                 * @example placement,day
                 */
                readonly by?: string;
                /** @description JSON if not given. */
                readonly format?: "json" | "csv";
                /**
                 * @description Events at this moment or later: a date or a moment; 28 days before `until` if not given.
                 * @example 2026-01-01
                 */
                readonly from?: string;
                /**
                 * @description Events before this moment; now if not given.
                 * @example 2026-02-01
                 */
                readonly until?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Sums for each group */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RecommendationReport"];
                    readonly "text/csv": string;
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly list_models: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description All versions */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelList"];
                };
            };
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly activate_model: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The model */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ModelActivation"];
            };
        };
        readonly responses: {
            /** @description The version that serves now */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelChange"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 422: components["responses"]["Refused"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly deactivate_model: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The model */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The version that no longer serves */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelDeactivation"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 409: components["responses"]["Conflict"];
            readonly 422: components["responses"]["Refused"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly reload_model: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The model */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The version that was read */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelChange"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 422: components["responses"]["Refused"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly rollback_model: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The model */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The version that serves now */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelChange"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 409: components["responses"]["Conflict"];
            readonly 422: components["responses"]["Refused"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly list_placements: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description All placements, built-in ones included */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PlacementList"];
                };
            };
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly get_placement: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The placement */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The placement */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Placement"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly put_placement: {
        readonly parameters: {
            readonly query?: {
                /**
                 * @description Change it only if this version is current, so that nobody's change gets lost; 0: only if no
                 *     placement of this name is saved.
                 */
                readonly version?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description The placement */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["PlacementDefinition"];
            };
        };
        readonly responses: {
            /** @description The placement as it serves now */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Placement"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 409: components["responses"]["Conflict"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 422: components["responses"]["Refused"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly delete_placement: {
        readonly parameters: {
            readonly query?: {
                /**
                 * @description Change it only if this version is current, so that nobody's change gets lost; 0: only if no
                 *     placement of this name is saved.
                 */
                readonly version?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description The placement */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description It is no longer saved */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 409: components["responses"]["Conflict"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly preview_placement: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The placement; any name with a `definition` */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["PlacementPreviewRequest"];
            };
        };
        readonly responses: {
            /** @description The answer and how it comes about */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PlacementPreview"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 422: components["responses"]["Refused"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly rollback_placement: {
        readonly parameters: {
            readonly query?: {
                /**
                 * @description Change it only if this version is current, so that nobody's change gets lost; 0: only if no
                 *     placement of this name is saved.
                 */
                readonly version?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description The placement */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The placement as it serves now */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Placement"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 409: components["responses"]["Conflict"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly list_placement_versions: {
        readonly parameters: {
            readonly query?: {
                /** @description How many versions at most; 100 if not given. */
                readonly limit?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description The placement */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Its versions, deletions included */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PlacementVersions"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly get_status: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The state of the server */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Status"];
                };
            };
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly erase_visitor: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The visitor's id */
                readonly id: components["schemas"]["Id"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Nothing of the visitor is kept */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Erasure"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly get_liveness: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description It does */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
    readonly get_metrics: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The metrics */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "text/plain": string;
                };
            };
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
            readonly 504: components["responses"]["StillRunning"];
        };
    };
    readonly get_readiness: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description It can */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Health"];
                };
            };
            /** @description No model is loaded, a ranker waits for the first count of the purchases, or the server is stopping */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly get_article: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The article's id */
                readonly id: components["schemas"]["Id"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The article */
            readonly 200: {
                headers: {
                    readonly ETag?: string;
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Article"];
                };
            };
            /** @description The article is still what `If-None-Match` names */
            readonly 304: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
        };
    };
    readonly list_similar: {
        readonly parameters: {
            readonly query?: {
                /** @description Return reasons with every article. */
                readonly explain?: boolean;
                /** @description Attributes to return, separated by commas. */
                readonly fields?: string;
                /**
                 * @description A filter as JSON, as in the body of `POST /v1/recommendations`.
                 * @example {"index_group_name":"Ladieswear"}
                 */
                readonly filter?: string;
                /** @description How many articles; 12 if not given. */
                readonly k?: number;
                /** @description The default model if not given. */
                readonly model?: string;
                /** @description Leave out the first so many articles. Send `offset` with every page, 0 with the first. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description The article's id */
                readonly id: components["schemas"]["Id"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Articles by falling likeness */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RecommendationResponse"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
        };
    };
    readonly recommend_to_customer: {
        readonly parameters: {
            readonly query?: {
                /** @description Leave out the customer's purchases. */
                readonly exclude_purchased?: boolean;
                /**
                 * @description Return reasons with every article. Reasons that tell the customer's purchases need a key
                 *     with the scope `read-purchases`.
                 */
                readonly explain?: boolean;
                /** @description Attributes to return, separated by commas. */
                readonly fields?: string;
                /**
                 * @description A filter as JSON, as in the body of `POST /v1/recommendations`.
                 * @example {"index_group_name":"Ladieswear"}
                 */
                readonly filter?: string;
                /** @description How many articles; 12 if not given. */
                readonly k?: number;
                /** @description The default model if not given. */
                readonly model?: string;
                /** @description Leave out the first so many articles. Send `offset` with every page, 0 with the first. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path: {
                /** @description The customer's id */
                readonly id: components["schemas"]["Id"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Ranked articles */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RecommendationResponse"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
        };
    };
    readonly tell_events: {
        readonly parameters: {
            readonly query?: {
                /** @description A key with the scope `events` alone, where no header can be sent */
                readonly key?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["EventBatch"];
            };
        };
        readonly responses: {
            /** @description The accepted events are in the database */
            readonly 202: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["EventsTaken"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
        };
    };
    readonly recommend_in_placement_by_query: {
        readonly parameters: {
            readonly query?: {
                /** @description The article that is looked at. */
                readonly article_id?: components["schemas"]["Id"];
                /**
                 * @description Articles in the cart, the latest first, separated by commas.
                 * @example 0706016001
                 */
                readonly cart?: string;
                /** @description The customer. */
                readonly customer_id?: components["schemas"]["Id"];
                /** @description Return reasons with every article. */
                readonly explain?: boolean;
                /** @description How many articles; as many as the placement says if not given. */
                readonly k?: number;
                /** @description Leave out the first so many articles. Send `offset` with every page, 0 with the first. */
                readonly offset?: number;
                /**
                 * @description Articles looked at in this visit, newest first, separated by commas. Ids that hold commas
                 *     need the body of `POST`.
                 * @example 0706016001,0568601006
                 */
                readonly session?: string;
                /** @description The browser of whoever asks, as `POST /v1/events` names it. */
                readonly visitor_id?: components["schemas"]["Id"];
            };
            readonly header?: never;
            readonly path: {
                /** @description The placement */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Ranked articles */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RecommendationResponse"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
        };
    };
    readonly recommend_in_placement: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The placement */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["PlacementRequest"];
            };
        };
        readonly responses: {
            /** @description Ranked articles */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RecommendationResponse"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
        };
    };
    readonly list_popular: {
        readonly parameters: {
            readonly query?: {
                /** @description Leave out what this customer bought. */
                readonly exclude_purchased_by?: components["schemas"]["Id"];
                /** @description Return reasons with every article. */
                readonly explain?: boolean;
                /** @description Attributes to return, separated by commas. */
                readonly fields?: string;
                /**
                 * @description A filter as JSON, as in the body of `POST /v1/recommendations`.
                 * @example {"index_group_name":"Ladieswear"}
                 */
                readonly filter?: string;
                /** @description How many articles; 12 if not given. */
                readonly k?: number;
                /** @description The default model if not given. */
                readonly model?: string;
                /** @description Leave out the first so many articles. Send `offset` with every page, 0 with the first. */
                readonly offset?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Articles by falling sales */
            readonly 200: {
                headers: {
                    readonly ETag?: string;
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RecommendationResponse"];
                };
            };
            /** @description The list is still what `If-None-Match` names */
            readonly 304: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
        };
    };
    readonly recommend: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["RecommendationRequest"];
            };
        };
        readonly responses: {
            /** @description Ranked articles */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["RecommendationResponse"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
        };
    };
    readonly recommend_batch: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["BatchRequest"];
            };
        };
        readonly responses: {
            /** @description One answer or problem for each customer */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["BatchResponse"];
                };
            };
            readonly 400: components["responses"]["BadRequest"];
            readonly 401: components["responses"]["Unauthorized"];
            readonly 403: components["responses"]["Forbidden"];
            readonly 404: components["responses"]["NotFound"];
            readonly 408: components["responses"]["RequestTimeout"];
            readonly 413: components["responses"]["TooLarge"];
            readonly 415: components["responses"]["UnsupportedMediaType"];
            readonly 429: components["responses"]["TooManyRequests"];
            readonly 500: components["responses"]["Internal"];
            readonly 503: components["responses"]["Unavailable"];
        };
    };
}
