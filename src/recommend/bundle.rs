//! A bundle as the pipeline's model.

use super::{ListModel, Model, ModelError};
use crate::{
    bundle::{Bundle, Ranker, Ranking, Towers},
    counters::PersonalFrequency,
    features::{ArticleView, CustomerView, Encoding, Feature, Slot, source},
    retrieval::{Index, Plan, Query},
};

impl Model for Bundle {
    fn name(&self) -> &str {
        &self.manifest().name
    }

    fn version(&self) -> &str {
        &self.manifest().version
    }

    fn items(&self) -> usize {
        self.manifest().items
    }

    fn index(&self) -> Option<&dyn Index> {
        self.towers().map(|towers| &towers.retriever as &dyn Index)
    }

    fn search_plan(&self, query: &Query<'_>) -> &'static str {
        // A query that does not fit is refused by the search itself.
        let plan = self.towers().and_then(|towers| towers.retriever.plan(query).ok());
        plan.map_or("nothing", Plan::name)
    }

    fn item(&self, article_id: &str) -> Option<u32> {
        self.encoder().item_row(article_id)
    }

    fn article_ids(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        let ids = self.encoder().vocabularies().get(source::ARTICLE_ID);
        Box::new(ids.into_iter().flat_map(|ids| ids.iter()).take(self.items()))
    }

    fn vector(&self, item: u32) -> Option<&[f32]> {
        self.towers().map(|towers| towers.retriever.items().row(item))
    }

    fn frequency(&self) -> Option<PersonalFrequency> {
        match self.ranking() {
            Ranking::Towers(_) => None,
            Ranking::Frequency(settings) => Some(settings.personal()),
            // What it says where a request names other sources than it was trained on.
            Ranking::Ranker(_) => Some(PersonalFrequency { half_life_days: Some(90.0) }),
        }
    }

    fn ranker(&self) -> Option<&dyn ListModel> {
        match self.ranking() {
            Ranking::Ranker(ranker) => Some(&**ranker),
            Ranking::Towers(_) | Ranking::Frequency(_) => None,
        }
    }

    fn popularity(&self) -> &[f32] {
        Bundle::popularity(self)
    }

    fn knows_customer(&self, id: &str) -> bool {
        self.encoder()
            .vocabularies()
            .get(source::CUSTOMER_ID)
            .is_some_and(|ids| ids.find(id).is_some())
    }

    fn reads_history(&self) -> bool {
        // What a bundle without towers counts is the history.
        if self.towers().is_none() {
            return true;
        }
        let features = &self.manifest().schema.query.features;
        features.iter().any(|feature| feature.source == source::HISTORY)
    }

    fn history_length(&self) -> usize {
        // What a bundle without towers counts is the history.
        if self.towers().is_none() {
            return usize::MAX;
        }
        let length = |slot: Slot<'_>| match slot {
            Slot::History { length, .. } | Slot::Sequence { length, .. } => length,
            Slot::Embedding { .. } | Slot::OneHot { .. } | Slot::Numbers { .. } => 0,
        };
        self.manifest().schema.query.slots().into_iter().map(length).max().unwrap_or(0)
    }

    fn needs_history(&self) -> bool {
        self.manifest()
            .schema
            .query
            .features
            .iter()
            .all(|feature| feature.source == source::HISTORY)
    }

    fn reads_sequence(&self) -> bool {
        // A mean of the history has no order; every other way to read it has.
        let ordered = |feature: &Feature| {
            feature.source == source::HISTORY
                && !matches!(feature.encoding, Encoding::History { .. })
        };
        self.manifest().schema.query.features.iter().any(ordered)
    }

    fn embed_customer(
        &self,
        customer: &CustomerView<'_>,
        vector: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let Some(Towers { query, .. }) = self.towers() else { return Err(without_towers()) };
        let (indices, numbers) = self.encoder().query_widths();
        let (mut indices, mut numbers) = (vec![0; indices], vec![0.0; numbers]);
        self.encoder().encode_query(customer, &mut indices, &mut numbers);
        query.embed(&indices, &numbers, 1, vector).map_err(|error| ModelError(error.to_string()))
    }

    fn embed_articles(&self, articles: &[ArticleView<'_>]) -> Result<Vec<f32>, ModelError> {
        let Some(Towers { item, .. }) = self.towers() else { return Ok(Vec::new()) };
        // The row of ids never seen stands for no article in particular.
        if self
            .manifest()
            .schema
            .item
            .features
            .iter()
            .all(|feature| feature.source == source::ARTICLE_ID)
        {
            return Ok(Vec::new());
        }
        let (index_width, number_width) = self.encoder().item_widths();
        let mut indices = vec![0; index_width * articles.len()];
        let mut numbers = vec![0.0; number_width * articles.len()];
        for (i, article) in articles.iter().enumerate() {
            let (index_row, number_row) = (i * index_width, i * number_width);
            let indices = &mut indices[index_row..index_row + index_width];
            self.encoder().encode_item(
                article,
                indices,
                &mut numbers[number_row..number_row + number_width],
            );
        }
        let mut vectors = Vec::new();
        let embedded = item.embed(&indices, &numbers, articles.len(), &mut vectors);
        embedded.map(|()| vectors).map_err(|error| ModelError(error.to_string()))
    }
}

impl ListModel for Ranker {
    fn sources(&self) -> &[serde_json::Map<String, serde_json::Value>] {
        &self.settings().sources
    }

    fn attributes(&self) -> &[String] {
        &self.settings().attributes
    }

    fn features(&self) -> &[String] {
        Self::features(self)
    }

    fn scores(&self, rows: &[f32]) -> Result<Vec<f32>, ModelError> {
        Self::scores(self, rows).map_err(|error| ModelError(error.to_string()))
    }
}

fn without_towers() -> ModelError {
    ModelError("it counts purchases and has no towers".to_owned())
}
