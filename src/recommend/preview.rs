//! What each step of an answer did, for whoever writes a placement.

use super::{
    Answer, Candidates, Context,
    rules::{InForce, RuleSpec},
    select::{Origin, Pick},
    sources::{Drawn, SourceSpec},
};
use serde::Serialize;

/// An answer and how it came about, by the same steps as every answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    pub answer: Answer,
    pub stages: Stages,
}

/// What the steps of an answer did, each with at most 300 articles.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Stages {
    /// What each source found, the best first.
    pub sources: Vec<SourceStage>,
    /// The candidates of all sources as they were ranked.
    pub ranked: Vec<CandidateStage>,
    /// The same after the rules.
    pub ruled: Vec<CandidateStage>,
    /// What became of each rule.
    pub rules: Vec<RuleStage>,
    /// The answer, place by place.
    pub picks: Vec<PickStage>,
    /// Whether the stages of candidates are left out, because they tell purchases.
    pub withheld: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct SourceStage {
    pub source: &'static str,
    pub left_out: bool,
    pub articles: Vec<ScoredArticle>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ScoredArticle {
    pub article_id: String,
    pub score: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct CandidateStage {
    pub article_id: String,
    /// What candidates are ordered by.
    pub strength: f32,
    /// The source that ranks it best.
    pub source: &'static str,
    /// Rules that changed its strength.
    pub rules: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct RuleStage {
    pub rule: String,
    pub kind: &'static str,
    pub state: RuleState,
    /// Why it is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Candidates whose strength it changed.
    pub weighed: usize,
    /// Articles of this page that it touched.
    pub answered: usize,
    /// Available articles that it hides.
    pub hidden: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    InForce,
    /// The moment of the request is not between its `from` and `until`.
    NotNow,
    Ignored,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct PickStage {
    pub article_id: String,
    pub source: &'static str,
    /// `candidate`, `fallback` or `popularity`.
    pub origin: &'static str,
    pub rules: Vec<String>,
}

/// Most articles of a stage.
const SHOWN: usize = 300;

/// Notes what the steps do, if anybody wants to know.
pub(super) enum Trace {
    Off,
    On(Box<Stages>),
}

impl Trace {
    pub(super) fn ranked(
        &mut self,
        context: &Context<'_>,
        specs: &[SourceSpec],
        drawn: &[Drawn],
        candidates: &Candidates,
    ) {
        let Self::On(stages) = self else { return };
        let source = |(spec, drawn): (&SourceSpec, &Drawn)| SourceStage {
            source: spec.name(),
            left_out: drawn.left_out,
            articles: drawn
                .articles
                .iter()
                .take(SHOWN)
                .map(|&(row, score)| scored(context, row, score))
                .collect(),
        };
        stages.sources = specs.iter().zip(drawn).map(source).collect();
        stages.ranked = listed(context, candidates);
    }

    pub(super) fn weighed(&mut self, context: &Context<'_>, candidates: &Candidates) {
        let Self::On(stages) = self else { return };
        stages.ruled = listed(context, candidates);
        let specs = context.request.recipe.rules.specs().iter().enumerate();
        stages.rules = specs.map(|(place, spec)| rule(context, candidates, place, spec)).collect();
    }

    /// `list`: those that are answered.
    pub(super) fn picked(&mut self, context: &Context<'_>, list: &[Pick]) {
        let Self::On(stages) = self else { return };
        let pick = |pick: &Pick| PickStage {
            article_id: context.snapshot.catalogue().id(pick.row).to_owned(),
            source: pick.source,
            origin: match pick.origin {
                Origin::Candidate(_) => "candidate",
                Origin::Fallback(_) => "fallback",
                Origin::Popularity => "popularity",
            },
            rules: named(&context.rules, pick.rules),
        };
        stages.picks = list.iter().map(pick).collect();
        for (place, rule) in stages.rules.iter_mut().enumerate() {
            rule.answered = list.iter().filter(|pick| pick.rules >> place & 1 == 1).count();
        }
    }

    pub(super) fn preview(self, answer: Answer) -> Preview {
        let mut stages = match self {
            Self::On(stages) => *stages,
            Self::Off => Stages::default(),
        };
        if answer.sources_withheld {
            let picks = stages.picks.into_iter().zip(&answer.items);
            let picks = picks.map(|(pick, item)| PickStage {
                source: item.source,
                origin: item.source,
                ..pick
            });
            stages = Stages {
                picks: picks.collect(),
                rules: stages.rules,
                withheld: true,
                ..Stages::default()
            };
        }
        Preview { answer, stages }
    }
}

fn rule(
    context: &Context<'_>,
    candidates: &Candidates,
    place: usize,
    spec: &RuleSpec,
) -> RuleStage {
    let ignored = context.rules.ignored.iter().find(|ignored| ignored.rule == spec.name());
    let state = match ignored {
        Some(_) => RuleState::Ignored,
        None if spec.holds_at(context.request.at) => RuleState::InForce,
        None => RuleState::NotNow,
    };
    RuleStage {
        rule: spec.name().to_owned(),
        kind: spec.kind(),
        state,
        reason: ignored.map(|ignored| ignored.reason.clone()),
        weighed: candidates
            .list
            .iter()
            .filter(|candidate| candidate.rules >> place & 1 == 1)
            .count(),
        answered: 0,
        hidden: context.rules.hidden_by(place, context.snapshot),
    }
}

fn listed(context: &Context<'_>, candidates: &Candidates) -> Vec<CandidateStage> {
    let shown = candidates.list.iter().take(SHOWN);
    let stage = shown.map(|candidate| CandidateStage {
        article_id: context.snapshot.catalogue().id(candidate.row).to_owned(),
        strength: candidate.strength,
        source: candidates.sources[candidate.best],
        rules: named(&context.rules, candidate.rules),
    });
    stage.collect()
}

fn named(rules: &InForce<'_>, bits: u64) -> Vec<String> {
    rules.named(bits).map(str::to_owned).collect()
}

fn scored(context: &Context<'_>, row: u32, score: f32) -> ScoredArticle {
    ScoredArticle { article_id: context.snapshot.catalogue().id(row).to_owned(), score }
}
