//! `vitrine-trainer gate`: whether a candidate may take the place of a bundle.

use crate::{
    bundle::Bundle,
    cli::{OrBadInput, Refused, data::DataArguments},
    dataset::{Dataset, Histories, Protocol, Split},
    evaluation::{
        Evaluation, METRICS, Measured,
        baselines::{self, Known, Tuning},
        bundle_ranker, seen,
    },
    retrain::{GateRules, Judged, judge},
    training::spaced,
};
use anyhow::{Context, anyhow};
use std::path::PathBuf;

/// Compares a candidate with the active bundle on the same held-out days, and both with baselines.
///
/// The candidate is refused, with status 3, when it cannot be opened or fails its golden requests,
/// when it is worse than the active bundle or than a baseline by more than chance explains, or when
/// it shows too little of the catalogue. Neither bundle may have seen the days that judge.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-trainer gate --candidate models/retrieval/20260201T030000000Z-5e6f7a8b --active \
                        models/retrieval/20260131T030000000Z-1a2b3c4d --data postgres://vitrine@localhost/vitrine"
)]
pub struct GateArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Folder of the candidate's version.
    #[arg(long, value_name = "DIR")]
    candidate: PathBuf,
    /// Folder of the active version; without it baselines alone judge.
    #[arg(long, value_name = "DIR")]
    active: Option<PathBuf>,
    /// The last days of the data that judge; as many as the candidate was trained to hold out,
    /// unless given.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    test_days: Option<u32>,
    /// The metric that decides; the one that chose the candidate, unless given.
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// The share of the active bundle's coverage that the candidate must reach.
    #[arg(long, value_name = "SHARE", default_value_t = GateRules::default().least_coverage)]
    least_coverage: f64,
    /// Customers who bought in the days that judge, at least.
    #[arg(long, value_name = "N", default_value_t = GateRules::default().least_cases)]
    least_cases: usize,
    /// Baselines that the candidate must not be below.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_values_t = GateRules::default().baselines)]
    baselines: Vec<String>,
    /// Refuse a candidate that is not better than the best baseline beyond chance.
    #[arg(long)]
    above_baselines: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// [`Refused`] for a candidate that must not ship; bad input: data, an active bundle that cannot be
/// opened, days that one of the bundles has seen.
pub fn run(arguments: &GateArguments) -> anyhow::Result<()> {
    let rules = rules(arguments)?;
    let candidate = Bundle::open(&arguments.candidate);
    let candidate =
        candidate.map_err(|error| Refused(format!("the candidate cannot be opened: {error}")))?;
    let active = arguments
        .active
        .as_deref()
        .map(Bundle::open)
        .transpose()
        .context("the active bundle")
        .or_bad_input()?;
    let dataset = arguments.data.load()?;
    let histories = Histories::of(&dataset);
    let split = Split::new(&dataset, &histories, protocol(arguments, &candidate));
    let split = split.context("cannot hold purchases out").or_bad_input()?;
    for (name, bundle) in [("candidate", Some(&candidate)), ("active bundle", active.as_ref())] {
        let Some(bundle) = bundle else { continue };
        let unseen = seen(bundle.manifest(), &dataset, &dataset.fingerprint(), &split);
        unseen
            .map_err(|why| anyhow!("the {name} cannot be judged by these days: {why}"))
            .or_bad_input()?;
    }
    let test = Tested { dataset: &dataset, histories: &histories, split: &split };
    let metric = rules.metric.clone().unwrap_or_else(|| chosen_metric(&candidate));
    let own = test.measure(&candidate)?;
    let active = active.as_ref().map(|bundle| test.measure(bundle)).transpose()?;
    let baselines = test.baselines(&rules.baselines, &metric)?;
    let cases = split.test.len();
    let judged = Judged {
        candidate: &own,
        active: active.as_ref(),
        baselines: &baselines,
        cases,
        metric: &metric,
    };
    let report = judge(&rules, &judged);
    match arguments.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => print!("{report}"),
    }
    match report.refusal() {
        Some(reason) => Err(Refused(reason).into()),
        None => Ok(()),
    }
}

fn rules(arguments: &GateArguments) -> anyhow::Result<GateRules> {
    let known = |name: &String| baselines::NAMES.contains(&name.as_str());
    if let Some(name) = arguments.baselines.iter().find(|name| !known(name)) {
        return Err(anyhow!(
            "there is no baseline `{name}`; there are {}",
            baselines::NAMES.join(", ")
        ))
        .or_bad_input();
    }
    let is_metric = |name: &String| METRICS.iter().any(|metric| metric.name() == *name);
    if let Some(name) = arguments.metric.iter().find(|name| !is_metric(name)) {
        return Err(anyhow!("there is no metric `{name}`, such as ndcg@10 or recall@12"))
            .or_bad_input();
    }
    if !(0.0..=1.0).contains(&arguments.least_coverage) {
        return Err(anyhow!("--least-coverage is a share between 0 and 1")).or_bad_input();
    }
    Ok(GateRules {
        metric: arguments.metric.clone(),
        least_cases: arguments.least_cases,
        least_coverage: arguments.least_coverage,
        baselines: arguments.baselines.clone(),
        above_baselines: arguments.above_baselines,
        ..GateRules::default()
    })
}

/// The candidate's own test, or the last days.
fn protocol(arguments: &GateArguments, candidate: &Bundle) -> Protocol {
    let own = candidate.manifest().training.get("split").cloned();
    let own = own
        .and_then(|split| serde_json::from_value::<Protocol>(split).ok())
        .unwrap_or(Protocol::time(7, 7));
    match arguments.test_days {
        Some(days) => Protocol::time(days, 7).with_repeats(own.repeats()),
        None => own,
    }
}

/// What chose the candidate, where that is a metric of rankings.
fn chosen_metric(candidate: &Bundle) -> String {
    let training = candidate.manifest().training.get("training");
    let chosen = training.and_then(|training| training.get("metric")?.as_str());
    let known = chosen.filter(|chosen| METRICS.iter().any(|metric| metric.name() == *chosen));
    known.unwrap_or("ndcg@10").to_owned()
}

/// The purchases that judge.
struct Tested<'a> {
    dataset: &'a Dataset,
    histories: &'a Histories,
    split: &'a Split,
}

impl Tested<'_> {
    fn measure(&self, bundle: &Bundle) -> anyhow::Result<Measured> {
        let &Self { dataset, histories, split } = self;
        let train = split.train_and_validation();
        let known = Known { dataset, histories, train: &train };
        let ranker = bundle_ranker(bundle, known, split.protocol).or_bad_input()?;
        let evaluation =
            Evaluation { dataset, histories, protocol: split.protocol, cases: &self.cases() };
        Ok(evaluation.measure(&ranker)?)
    }

    fn baselines(&self, names: &[String], metric: &str) -> anyhow::Result<Vec<Measured>> {
        let &Self { dataset, histories, split } = self;
        let cases = self.cases();
        let evaluation = Evaluation { dataset, histories, protocol: split.protocol, cases: &cases };
        let (train, tuning) = (
            split.train_and_validation(),
            Tuning::new(dataset, histories, split, metric, &|| false),
        );
        let measure =
            |name: &String| Ok(baselines::measure(name, &evaluation, &train, tuning.as_ref())?);
        names.iter().map(measure).collect()
    }

    /// At most as many as judge a training.
    fn cases(&self) -> Vec<crate::dataset::Case> {
        spaced(&self.split.test, crate::training::LoopConfig::default().evaluation_cases)
    }
}
