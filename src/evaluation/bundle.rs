//! A bundle as a ranker: what the server would answer by exact search, over a whole dataset.

use super::{
    EvaluationError, FrequencyScorer, Past, QueryVectors, RankerScorer, Scorer, VectorRanker,
    baselines::Known,
};
use crate::{
    bundle::{Bundle, Ranking, RowKind, Towers},
    dataset::{Case, Dataset, Histories, Protocol},
    features::EncodedCustomers,
    recommend::ModelError,
};
use std::sync::Arc;

/// A bundle of any kind.
pub enum BundleRanker<'a, Q> {
    Vectors(VectorRanker<'a, Q>),
    Frequency(FrequencyScorer<'a>),
    Ranker(Box<RankerScorer<'a, 'a>>),
}

impl<'a, Q> BundleRanker<'a, Q> {
    /// The ranker of a bundle with vectors.
    pub fn vectors(&self) -> Option<&VectorRanker<'a, Q>> {
        match self {
            Self::Vectors(ranker) => Some(ranker),
            Self::Frequency(_) | Self::Ranker(_) => None,
        }
    }
}

impl<Q: QueryVectors> Scorer for BundleRanker<'_, Q> {
    fn name(&self) -> &str {
        match self {
            Self::Vectors(ranker) => ranker.name(),
            Self::Frequency(ranker) => ranker.name(),
            Self::Ranker(ranker) => ranker.name(),
        }
    }

    fn kind(&self) -> RowKind {
        RowKind::Bundle
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        match self {
            Self::Vectors(ranker) => ranker.score(cases, scores),
            Self::Frequency(ranker) => ranker.score(cases, scores),
            Self::Ranker(ranker) => ranker.score(cases, scores),
        }
    }
}

/// Ranks as the server does: by the bundle's query tower and item vectors, or by the customer's own
/// purchases and its popularity. Articles of the dataset that the bundle doesn't know are never
/// recommended; customers it doesn't know go through the unknown row. A bundle that ranks
/// candidates has the pipeline find them as of the moment of each case, after the purchases of
/// `known`.
///
/// # Errors
/// A ranker of other sources or features than this program has.
pub fn bundle_ranker<'a>(
    bundle: &'a Bundle,
    known: Known<'a>,
    protocol: Protocol,
) -> Result<BundleRanker<'a, impl QueryVectors + 'a>, ModelError> {
    let Known { dataset, histories, .. } = known;
    let sales = |id| bundle.encoder().item_row(id).map(|item| bundle.popularity()[item as usize]);
    let (name, sales) = (&bundle.manifest().name, dataset.articles.ids.iter().map(sales));
    Ok(match bundle.ranking() {
        Ranking::Towers(towers) => {
            BundleRanker::Vectors(vector_ranker(bundle, towers, dataset, histories))
        }
        Ranking::Frequency(settings) => BundleRanker::Frequency(FrequencyScorer::new(
            name,
            settings.personal(),
            sales,
            dataset,
            histories,
        )),
        Ranking::Ranker(ranker) => {
            let past = Arc::new(Past::new(known, protocol));
            BundleRanker::Ranker(Box::new(RankerScorer::new(name, &**ranker, past, sales)?))
        }
    })
}

fn vector_ranker<'a>(
    bundle: &'a Bundle,
    towers: &'a Towers,
    dataset: &'a Dataset,
    histories: &'a Histories,
) -> VectorRanker<'a, impl QueryVectors + 'a> {
    let customers = EncodedCustomers::new(bundle.encoder(), dataset, histories);
    let embed = move |cases: &[Case], vectors: &mut [f32]| {
        let tower = &towers.query;
        let (index_width, number_width) = tower.widths();
        let mut indices = vec![0; cases.len() * index_width];
        let mut numbers = vec![0.0; cases.len() * number_width];
        for (row, case) in cases.iter().enumerate() {
            let indices = &mut indices[row * index_width..][..index_width];
            customers.fill(
                &case.into(),
                indices,
                &mut numbers[row * number_width..][..number_width],
            );
        }
        let mut embedded = Vec::new();
        tower
            .embed(&indices, &numbers, cases.len(), &mut embedded)
            .map_err(|error| error.to_string())?;
        vectors.copy_from_slice(&embedded);
        Ok(())
    };
    let items = towers.retriever.items();
    let vector = |id: &str| bundle.encoder().item_row(id).map(|item| items.row(item));
    VectorRanker::of_ids(&bundle.manifest().name, embed, bundle.manifest().dim, dataset, vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundle::{
            self, Contents, Golden, GoldenQuery, IndexParameters, Metric, RankingContents,
            TowerContents,
        },
        dataset::TimeUnit,
        domain::{IdTable, Timestamp},
        features::{FeatureConfig, fit, testing},
        onnx::{Dense, Input, TowerGraph},
    };

    /// A bundle over the articles a0 … a3 whose query vector is the vector of the last article
    /// bought.
    fn last_article_bundle(models: &std::path::Path, vectors: &[f32]) -> Bundle {
        let dataset = testing::shop(1, 4, 2, 9, TimeUnit::Second);
        let config: FeatureConfig = toml::from_str(
            r#"
            query = [{ source = "history", encoding = "history", dim = 2, length = 1 }]
            item = [{ source = "article_id", encoding = "embedding", dim = 2 }]"#,
        )
        .unwrap();
        let (schema, vocabularies) = fit(&dataset, &[0], &config).unwrap();
        let table: Vec<f32> = [vectors, &[9.0, 9.0]].concat();
        let graph = |name, input| TowerGraph {
            name,
            widths: (1, 0),
            inputs: vec![input],
            layers: vec![Dense {
                weight: &[1.0, 0.0, 0.0, 1.0],
                bias: &[0.0, 0.0],
                inputs: 2,
                outputs: 2,
            }],
            normalize: false,
        };
        let history = Input::History {
            name: "history",
            table: &table,
            rows: 5,
            dim: 2,
            at: 0,
            length: 1,
            decay: 1.0,
        };
        let id = Input::Embedding { name: "article_id", table: &table, rows: 5, dim: 2, at: 0 };
        let golden = GoldenQuery {
            indices: vec![0],
            numbers: vec![],
            vector: vectors[..2].to_vec(),
            top: vec![],
        };
        let contents = Contents {
            name: "last-article",
            family: "two-tower",
            schema: &schema,
            vocabularies: &vocabularies,
            time_unit: TimeUnit::Second,
            training: serde_json::Value::Null,
            data_fingerprint: "",
            provenance: Default::default(),
            metrics: &[],
            ranking: RankingContents::Towers(Box::new(TowerContents {
                metric: Metric::Dot,
                index: IndexParameters { m: 8, ef_construction: 20, ef_search: 20 },
                query_tower: graph("query", history).into(),
                item_tower: graph("item", id),
                items: vectors,
            })),
            popularity: &[1.0; 4],
            golden: Golden { queries: vec![golden], items: vec![] },
        };
        Bundle::open(&bundle::write(models, contents).unwrap()).unwrap()
    }

    #[test]
    fn scores_are_inner_products_in_the_order_of_the_data() {
        let models = tempfile::tempdir().unwrap();
        let bundle = last_article_bundle(models.path(), &[1.0, 2.0, 3.0, -1.0, 0.5, 0.5, 0.0, 2.0]);
        let mut dataset = testing::shop(1, 4, 2, 3, TimeUnit::Second);
        dataset.articles.ids = ["a3", "new", "a0", "a1"].into_iter().collect::<IdTable>();
        dataset.purchases.customer = vec![0, 0, 1];
        dataset.purchases.article = vec![0, 2, 1];
        let histories = Histories::of(&dataset);
        let ranker = bundle_ranker(
            &bundle,
            Known { dataset: &dataset, histories: &histories, train: &[] },
            Protocol::time(1, 0),
        )
        .unwrap();
        let case = |customer, known| Case { customer, at: Timestamp(0), known, relevant: vec![0] };
        let mut scores = [f32::NAN; 16];
        ranker.score(&[case(0, 2), case(0, 1), case(0, 0), case(1, 1)], &mut scores).unwrap();
        let never = f32::NEG_INFINITY;
        assert_eq!(scores[..4], [4.0, never, 5.0, 1.0], "a0 was bought last");
        assert_eq!(scores[4..8], [4.0, never, 4.0, -2.0], "then a3 was");
        assert_eq!(
            scores[8..],
            [0.0, never, 0.0, 0.0, 0.0, never, 0.0, 0.0],
            "nothing the bundle knows"
        );
        assert_eq!(ranker.name(), "last-article");
    }
}
