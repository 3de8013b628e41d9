//! The planner: for each query the cheapest way to its top k.

use super::{
    Graph, Hit, Index, ItemVectors, Query, QueryError, RetrievalError,
    clusters::Clusters,
    exact::{Exact, Oracle, Rows, Wanted},
    graph::search::{GraphIndex, Target},
    kernel::Kernels,
    scratch::Scratch,
};
use std::path::Path;

/// How a query is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing can be answered: `k` is 0 or no item allowed.
    Nothing,
    /// Every allowed item in f32: exact.
    Gather,
    /// All items, or all their different vectors, by eight-bit codes; the survivors in f32: exact.
    Scan,
    /// The graph with a beam of `ef`; the scan steps in when it ends with fewer than `k` allowed
    /// items.
    Graph { ef: usize },
    /// The clusters nearest to the query that hold so many items; the scan steps in as for a graph.
    Clusters { items: usize },
}

impl Plan {
    /// For metrics and explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Gather => "gather",
            Self::Scan => "scan",
            Self::Graph { .. } => "graph",
            Self::Clusters { .. } => "clusters",
        }
    }
}

/// The index that serves: item vectors, the exact scan and the graph behind one planner. Exactly
/// `k` hits come back whenever `k` items are allowed.
pub struct Retriever {
    items: ItemVectors,
    exact: Exact,
    graph: Option<GraphIndex>,
    clusters: Option<Clusters>,
}

impl Retriever {
    /// Opens `items.bin` and `index.bin`.
    ///
    /// # Errors
    /// When either is unreadable or invalid, or they do not belong together.
    pub fn open(items_path: &Path, index_path: &Path) -> Result<Self, RetrievalError> {
        let items = ItemVectors::open(items_path)?;
        let graph = Graph::open(index_path, items.len(), items.dim())?;
        Self::new(items, Some(graph))
    }

    /// An index over vectors in memory; without a graph it answers exactly, always.
    ///
    /// # Errors
    /// When the graph is over another table, or memory for the codes cannot be had.
    pub fn new(items: ItemVectors, graph: Option<Graph>) -> Result<Self, RetrievalError> {
        let exact = Exact::new(&items, Rows::of(graph.as_ref()))?;
        let graph = match graph {
            Some(graph) if graph.len() != items.len() || graph.dim() != items.dim() => {
                return Err(RetrievalError::Vectors(format!(
                    "{items:?} do not belong to a graph over {} × {}",
                    graph.len(),
                    graph.dim()
                )));
            }
            Some(graph) => Some(GraphIndex::new(graph, &items, &exact.codes.quantiser)?),
            None => None,
        };
        Ok(Self { items, exact, graph, clusters: None })
    }

    /// An index over vectors in memory that is quickly built. Over a few thousand it answers
    /// exactly, over more it finds nearly all that an exact one does.
    ///
    /// # Errors
    /// When memory for it cannot be had.
    pub fn clustered(items: ItemVectors) -> Result<Self, RetrievalError> {
        let clusters = Clusters::of(Kernels::best(), &items)?;
        let rows = clusters.as_ref().map_or(Rows::Items, Rows::Clusters);
        let exact = Exact::new(&items, rows)?;
        Ok(Self { items, exact, graph: None, clusters })
    }

    pub fn items(&self) -> &ItemVectors {
        &self.items
    }

    pub fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref().map(GraphIndex::graph)
    }

    /// What the codes are of.
    fn rows(&self) -> Rows<'_> {
        self.clusters.as_ref().map_or_else(|| Rows::of(self.graph()), Rows::Clusters)
    }

    /// The same items searched by the plainest code: the oracle of tests and of golden answers.
    pub fn exact(&self) -> Oracle<'_> {
        Oracle { items: &self.items, exact: &self.exact }
    }

    /// The instruction set in use: `avx512`, `avx2` or `portable`.
    pub fn instruction_set(&self) -> &'static str {
        self.exact.kernels.name
    }

    /// How [`Index::search`] would answer.
    ///
    /// # Errors
    /// When the query does not fit the index.
    pub fn plan(&self, query: &Query<'_>) -> Result<Plan, QueryError> {
        query.check(self.items.len())?;
        let len = self.items.len();
        let allowed = query.allowed.map_or(len, |allowed| allowed.count());
        if query.k == 0 || allowed == 0 {
            return Ok(Plan::Nothing);
        }
        let costs = Costs {
            len: len as f64,
            rows: self.rows().len(&self.items) as f64,
            lines: self.items.dim().div_ceil(16) as f64,
            ef: self.graph.as_ref().map(GraphIndex::ef),
            clusters: self.clusters.as_ref().map(Clusters::len),
        };
        Ok(costs.plan(query.k.min(len), allowed))
    }

    /// Answers by a given plan rather than the cheapest: for benchmarks and explanations.
    ///
    /// # Errors
    /// Those of [`Index::search`].
    pub fn search_by(&self, query: &Query<'_>, plan: Plan) -> Result<Vec<Hit>, QueryError> {
        query.check(self.items.len())?;
        let Query { k, allowed, .. } = *query;
        let k = k.min(self.items.len());
        let wanted = Wanted { rows: self.rows(), allowed, k };
        Scratch::with(|scratch| {
            scratch.load(&self.items, query.vector)?;
            let hits = match (plan, &self.graph, &self.clusters) {
                (Plan::Nothing, ..) => return Ok(Vec::new()),
                (Plan::Gather, ..) => {
                    return Ok(self.exact.gather(&self.items, allowed, k, scratch));
                }
                (Plan::Graph { ef }, Some(graph), _) => graph.search(
                    self.exact.kernels,
                    &self.items,
                    Target { k, ef, allowed },
                    scratch,
                ),
                (Plan::Clusters { items }, _, Some(clusters)) => {
                    clusters.select(self.exact.kernels, items, scratch);
                    self.exact.scan_ranges(&self.items, wanted, scratch)
                }
                (Plan::Scan | Plan::Graph { .. } | Plan::Clusters { .. }, ..) => Vec::new(),
            };
            let possible = allowed.map_or(self.items.len(), |allowed| allowed.count()).min(k);
            Ok(if hits.len() < possible {
                self.exact.scan(&self.items, wanted, scratch)
            } else {
                hits
            })
        })
    }
}

impl Index for Retriever {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn dim(&self) -> usize {
        self.items.dim()
    }

    fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, QueryError> {
        self.search_by(query, self.plan(query)?)
    }
}

/// The cost model. Times are in nanoseconds on a server core of 2024 with AVX-512; only their
/// ratios matter.
struct Costs {
    len: f64,
    /// Rows of codes: fewer than items where many have equal vectors.
    rows: f64,
    /// Cache lines of an f32 row.
    lines: f64,
    /// Beam width for 100 items, when there is a graph.
    ef: Option<usize>,
    /// How many, when there are any.
    clusters: Option<usize>,
}

/// A search looks at one of so many items of a table in clusters.
const CLUSTERED_SHARE: f64 = 8.0;

impl Costs {
    /// Allowed rows from all over memory, and their selection.
    fn gather(&self, allowed: f64) -> f64 {
        allowed * (6.0 + 2.0 * self.lines)
    }

    /// Codes of all rows in order, some 3k candidates in f32. Blocks without an allowed item are
    /// skipped where rows are items in their order.
    fn scan(&self, k: f64, allowed: f64) -> f64 {
        let in_order = self.rows == self.len && self.clusters.is_none();
        let touched = if in_order { 1.0 - (1.0 - allowed / self.len).powi(16) } else { 1.0 };
        2000.0 + self.rows * (0.1 + touched * 0.4 * self.lines) + self.candidates(k)
    }

    fn candidates(&self, k: f64) -> f64 {
        3.0 * k * (15.0 + 3.0 * self.lines)
    }

    /// Some 16 new nodes scored for each of the beam's.
    fn graph(&self, ef: f64) -> f64 {
        1000.0 + ef * (300.0 + 15.0 * self.lines)
    }

    /// A product for every centroid, then the codes of so many items.
    fn clusters(&self, clusters: f64, k: f64, items: f64) -> f64 {
        let centroids = clusters * (3.0 + 2.0 * self.lines);
        2000.0 + centroids + items * (0.1 + 0.4 * self.lines) + self.candidates(k)
    }

    fn plan(&self, k: usize, allowed: usize) -> Plan {
        let (wanted, allowed) = (k as f64, allowed as f64);
        let (gather, scan) = (self.gather(allowed), self.scan(wanted, allowed));
        if let Some(ef) = self.ef {
            // Short lists keep the recall of 100 items with less: down to half the beam.
            let short = ef as f64 * (0.5 + wanted / 200.0).min(1.0);
            // The beam ends with the best items of all; of those the allowed share is left, and
            // must be k.
            let ef = (short.max((k + k / 16 + 4) as f64) * self.len / allowed).ceil();
            if self.graph(ef) < gather.min(scan) {
                return Plan::Graph { ef: ef as usize };
            }
        }
        if let Some(clusters) = self.clusters {
            // The more is filtered out, the more clusters the best of the rest are spread over.
            let items =
                (self.len / CLUSTERED_SHARE).max(CLUSTERED_SHARE * wanted) * self.len / allowed;
            if self.clusters(clusters as f64, wanted, items) < gather.min(scan) {
                return Plan::Clusters { items: items.ceil() as usize };
            }
        }
        if gather < scan { Plan::Gather } else { Plan::Scan }
    }
}
