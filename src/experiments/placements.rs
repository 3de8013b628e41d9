//! Placements of a comparison: measured over the models that it trained.

use super::{ExperimentError, System};
use crate::{
    bundle::RankerSettings,
    evaluation::{Details, EvaluationError, Measured, PipelineTest, missing_model},
    recommend::Placement,
    training::Family,
};

/// A placement of a comparison with what became of it, a seed an entry.
pub(super) struct Placed<'a> {
    pub name: &'a str,
    placement: &'a Placement,
    pub measured: Vec<Measured>,
    pub details: Vec<Details>,
    pub error: Option<String>,
}

impl<'a> Placed<'a> {
    /// Placements over the models of these systems, before anything is trained.
    ///
    /// # Errors
    /// Two models or rows of one name; a model that no system trains; a ranker that is none.
    pub fn all(
        placements: &'a [(String, Placement)],
        systems: &[System],
    ) -> Result<Vec<Self>, ExperimentError> {
        let refused = |problem: String| Err(ExperimentError::Input(problem));
        let models: Vec<(&str, Family)> = systems.iter().filter_map(System::model).collect();
        let names: Vec<&str> = models.iter().map(|model| model.0).collect();
        if let Some(twice) = twice(&names).filter(|_| !placements.is_empty()) {
            return refused(format!(
                "two configurations name their model `{twice}`, so a placement cannot tell them apart; give each a \
                 `model.name` of its own"
            ));
        }
        let rows = systems.iter().map(|system| system.name.as_str());
        let rows: Vec<&str> =
            rows.chain(placements.iter().map(|(name, _)| name.as_str())).collect();
        if let Some(row) = twice(&rows).filter(|row| placements.iter().any(|(name, _)| name == row))
        {
            return refused(format!(
                "two rows would be called `{row}`; give the placement's file another name"
            ));
        }
        for (name, placement) in placements {
            if let Some(unknown) = placement.models().find(|model| !names.contains(model)) {
                return refused(format!(
                    "the placement `{name}`: {}",
                    missing_model(unknown, &names)
                ));
            }
            let is_ranker = |ranker: &str| {
                models.iter().any(|(name, family)| {
                    *name == ranker && family.name() == RankerSettings::FAMILY
                })
            };
            if let Some(ranker) = placement.ranker.as_deref().filter(|ranker| !is_ranker(ranker)) {
                return refused(format!(
                    "the placement `{name}`: its ranker `{ranker}` is not of the family `ranker`"
                ));
            }
        }
        let placed = |(name, placement): &'a (String, Placement)| Self {
            name,
            placement,
            measured: Vec::new(),
            details: Vec::new(),
            error: None,
        };
        Ok(placements.iter().map(placed).collect())
    }

    /// Measures it with one more seed.
    pub fn measure(&mut self, test: &PipelineTest<'_>) {
        if self.error.is_some() {
            return;
        }
        tracing::info!("\nthe placement {}", self.name);
        match test.measure(self.name, self.placement) {
            Ok((measured, details)) => {
                self.measured.push(measured);
                self.details.push(details);
            }
            Err(EvaluationError::Ranker { cause, .. }) => self.error = Some(cause),
            Err(error) => self.error = Some(error.to_string()),
        }
    }
}

impl System {
    /// The name and family of its model; `None` where its configuration cannot be used.
    pub(super) fn model(&self) -> Option<(&str, Family)> {
        let model = &self.config.as_ref().ok()?.model;
        Some((&model.name, model.family))
    }
}

/// The first name that comes a second time.
fn twice<'a>(names: &[&'a str]) -> Option<&'a str> {
    names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)).map(|(_, &name)| name)
}
