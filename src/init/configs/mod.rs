//! One training configuration for each family that fits a shop, and why the others do not.

mod decoder;
mod elsa;
mod frequency;
mod ranker;
mod two_tower;

use super::{
    protocol::{Protocol, Split},
    shop::Shop,
};

/// What is proposed of one family.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The family, and the name of its model.
    pub family: &'static str,
    /// Why it fits this shop, or why it does not.
    pub why: String,
    /// The text of the configuration; `None` where the family does not fit.
    pub config: Option<String>,
}

impl Proposal {
    /// The name of the file.
    pub fn file(&self) -> String {
        format!("{}.toml", self.family)
    }
}

/// How long training may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// A few minutes a family on two cores.
    Usual,
    /// Half a minute: to compare the families.
    Quick,
}

impl Effort {
    /// Purchases that a family is trained on in all its epochs together.
    fn budget(self) -> usize {
        match self {
            Self::Usual => 6_000_000,
            Self::Quick => 1_500_000,
        }
    }

    /// Numbers of an item table that ELSA may turn in all its epochs together.
    fn table_budget(self) -> usize {
        match self {
            Self::Usual => 30_000_000_000,
            Self::Quick => 4_500_000_000,
        }
    }

    /// Cases that judge an epoch, and the finished model.
    fn cases(self) -> usize {
        match self {
            Self::Usual => 5_000,
            Self::Quick => 2_000,
        }
    }
}

/// What the configurations are made from.
struct Wanted<'a> {
    shop: &'a Shop,
    protocol: &'a Protocol,
    effort: Effort,
}

/// All families, in the order in which to try them.
pub(super) fn proposals(shop: &Shop, protocol: &Protocol, effort: Effort) -> Vec<Proposal> {
    let wanted = Wanted { shop, protocol, effort };
    vec![
        frequency::proposal(&wanted),
        elsa::proposal(&wanted),
        ranker::proposal(&wanted),
        two_tower::proposal(&wanted),
        decoder::proposal(&wanted),
    ]
}

fn fits(family: &'static str, why: String, config: String) -> Proposal {
    Proposal { family, why, config: Some(config) }
}

fn does_not_fit(family: &'static str, why: String) -> Proposal {
    Proposal { family, why, config: None }
}

impl Wanted<'_> {
    /// Passes over the purchases of `window` that the budget allows.
    fn epochs(&self, purchases: usize, least: usize, most: usize) -> usize {
        (self.effort.budget() / purchases.max(1)).clamp(least, most)
    }

    /// The last days to train on, where all of them would take too long: as many as hold `most`
    /// purchases.
    fn window(&self, most: usize) -> Option<Window> {
        let days = self.shop.days? as f64;
        let share = most as f64 / self.shop.purchases as f64;
        let window = (days * share).ceil() as u32;
        (share < 1.0).then(|| Window { days: window.max(14), purchases: most })
    }

    /// `[split]`, with the reason above it.
    fn split(&self) -> String {
        let why: String = self.protocol.why.iter().map(|why| format!("# {why}.\n")).collect();
        format!("{why}{}", self.protocol.section())
    }

    fn is_time(&self) -> bool {
        matches!(self.protocol.split, Split::Time { .. })
    }
}

/// The last part of the purchases.
struct Window {
    days: u32,
    purchases: usize,
}

/// The keys of `[training]` that all families share. `patience`: epochs without a better one.
fn training(wanted: &Wanted<'_>, epochs: usize, patience: usize) -> String {
    format!(
        "epochs = {epochs}\nseed = 1\npatience = {patience}\nmetric = \"{}\"\nevaluation_cases = {}\n\
         # The number of epochs is chosen on the validation purchases; what ships is then trained on everything.\n\
         refit = \"all\"\n",
        wanted.protocol.metric,
        wanted.effort.cases()
    )
}

/// A share as people read it.
fn percent(share: f64) -> String {
    match share * 100.0 {
        small if small > 0.0 && small < 1.0 => format!("{small:.1} %"),
        share => format!("{share:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::TimeUnit,
        families::RankerConfig,
        init::shop::{Attribute, AttributeKind, History},
        training::TrainingConfig,
    };

    fn shop() -> Shop {
        let attribute = |name: &str, kind| Attribute { name: name.to_owned(), kind, coverage: 1.0 };
        Shop {
            articles: 3_000,
            articles_bought: 2_800,
            customers: 900,
            purchases: 40_000,
            time_unit: TimeUnit::Second,
            days: Some(400),
            history: History { quarter: 5, median: 20, three_quarters: 60, mean: 44.0 },
            sequences: 800,
            pairs: 850,
            repeats: 0.3,
            ties: 0.1,
            article_attributes: vec![
                attribute("brand \"x\"", AttributeKind::Category(300)),
                attribute("colour", AttributeKind::Category(12)),
                attribute("labels", AttributeKind::Tags(40)),
                attribute("weight", AttributeKind::Number),
                attribute("title", AttributeKind::Category(3_000)),
            ],
            customer_attributes: vec![attribute("age", AttributeKind::Number)],
        }
    }

    fn protocol(split: Split) -> Protocol {
        Protocol { split, metric: "recall@12", why: vec!["because".to_owned()] }
    }

    fn parsed(proposal: &Proposal) -> TrainingConfig {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(proposal.file());
        std::fs::write(&path, proposal.config.as_ref().unwrap()).unwrap();
        TrainingConfig::load(&path, &[])
            .unwrap_or_else(|error| panic!("{}: {error}", proposal.family))
    }

    #[test]
    fn every_configuration_can_be_used() {
        for split in [Split::Time { days: 7 }, Split::LeaveOneOut { keep_repeats: true }] {
            let protocol = protocol(split);
            for purchases in [4_000, 40_000, 900_000, 30_000_000] {
                let shop = Shop { purchases, ..shop() };
                for proposal in proposals(&shop, &protocol, Effort::Usual) {
                    let config = parsed(&proposal);
                    assert_eq!(config.model.name, proposal.family);
                    assert_eq!(config.training.metric, "recall@12");
                }
            }
        }
    }

    #[test]
    fn features_follow_from_the_columns() {
        let protocol = protocol(Split::Time { days: 7 });
        let config = parsed(&proposals(&shop(), &protocol, Effort::Usual)[3]);
        assert_eq!(config.model.family.name(), "two-tower");
        let names: Vec<&str> =
            config.features.item.iter().map(|feature| feature.source.as_str()).collect();
        assert_eq!(names, ["article_id", "brand \"x\"", "colour", "labels", "weight"]);
        assert!(config.features.query.iter().any(|feature| feature.source == "age"));
        let bare =
            Shop { article_attributes: Vec::new(), customer_attributes: Vec::new(), ..shop() };
        assert_eq!(parsed(&proposals(&bare, &protocol, Effort::Quick)[3]).features.item.len(), 1);
    }

    #[test]
    fn a_quiet_shop_counts_its_best_sellers_over_a_quarter() {
        let protocol = protocol(Split::Time { days: 7 });
        let ranker = |purchases| {
            let shop = Shop { purchases, ..shop() };
            RankerConfig::of(&parsed(&proposals(&shop, &protocol, Effort::Usual)[2]))
        };
        let (quiet, busy) = (ranker(4_000), ranker(900_000));
        let sources: Vec<&str> =
            quiet.sources.iter().map(|source| source["source"].as_str().unwrap()).collect();
        assert_eq!(
            sources,
            ["buy_again", "popular", "popular", "bought_together", "similar_taste", "popular_in"]
        );
        assert_eq!(
            (&quiet.sources[1]["days"], &quiet.sources[5]["attribute"]),
            (&91.into(), &"colour".into())
        );
        assert!(busy.sources.is_empty() && quiet.depth < busy.depth);
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let protocol = protocol(Split::LeaveOneOut { keep_repeats: false });
        let shop = Shop { repeats: 0.0, days: None, sequences: 3, pairs: 2, ..shop() };
        let whys: Vec<String> = proposals(&shop, &protocol, Effort::Usual)
            .into_iter()
            .filter(|p| p.config.is_none())
            .map(|p| p.why)
            .collect();
        assert_eq!(whys.len(), 5, "{whys:?}");
        assert!(whys[0].contains("repeat"), "{whys:?}");
    }
}
