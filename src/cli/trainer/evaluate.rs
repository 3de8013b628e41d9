//! `vitrine-trainer evaluate`: a bundle or baselines on held-out purchases.

use crate::{
    bundle::{Bundle, Manifest},
    cli::{OrBadInput, data::DataArguments},
    dataset::{Dataset, Histories, Protocol, Split, TimeUnit},
    evaluation::{
        BundleRanker, Evaluation, QueryVectors, Report,
        baselines::{self, Known},
        bundle_ranker,
    },
    progress::Progress,
    training::TrainingConfig,
};
use anyhow::{Context, anyhow};
use std::path::PathBuf;

/// Ranks the whole catalogue for held-out purchases and prints the metrics, a bundle's beside the baselines'.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  vitrine-trainer evaluate --data shop --bundle models/retrieval/20260131T120000000Z-1a2b3c4d\n  \
                        vitrine-trainer evaluate --data ml-100k --baseline all --protocol leave-one-out --json"
)]
#[command(group = clap::ArgGroup::new("ranker").required(true))]
pub struct EvaluateArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Folder of a bundle's version; the baselines are evaluated too.
    #[arg(long, value_name = "DIR", group = "ranker")]
    bundle: Option<PathBuf>,
    /// A baseline alone: popularity, recent-popularity, item-knn, last-purchases, or all of them.
    #[arg(long, value_name = "NAME", group = "ranker", value_parser = baseline_names())]
    baseline: Option<String>,
    /// Which purchases are held out; as the bundle was trained, else temporal where there are dates.
    #[arg(long)]
    protocol: Option<ProtocolName>,
    /// Length of the temporal test window, 7 unless the bundle was trained with another.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    test_days: Option<u32>,
    /// One JSON object on standard output instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ProtocolName {
    Temporal,
    LeaveOneOut,
}

fn baseline_names() -> clap::builder::PossibleValuesParser {
    baselines::NAMES.into_iter().chain(["all"]).into()
}

/// # Errors
/// Data, bundles and protocols that can't be used are bad input.
pub fn run(arguments: &EvaluateArguments) -> anyhow::Result<()> {
    // The bundle first: opening it fails fast, loading the data may take a minute.
    let bundle = arguments.bundle.as_deref().map(Bundle::open).transpose().or_bad_input()?;
    let dataset = arguments.data.load()?;
    let histories = Histories::of(&dataset);
    let trained = bundle.as_ref().and_then(|bundle| trained_protocol(bundle.manifest()));
    let protocol = choose(arguments, trained, dataset.time_unit)?;
    if let Some(trained) = trained.filter(|&trained| !tests_the_same(trained, protocol)) {
        eprintln!("warning: the bundle held out {trained:?}; what is tested now may have been in its training");
    }
    let split = Split::new(&dataset, &histories, protocol).context("cannot hold purchases out").or_bad_input()?;
    let evaluation = Evaluation { dataset: &dataset, histories: &histories, protocol, cases: &split.test };

    let baselines: Vec<&str> = match arguments.baseline.as_deref() {
        None | Some("all") => baselines::NAMES.to_vec(),
        Some(name) => vec![name],
    };
    let progress = Progress::new("evaluate", baselines.len() as u64 + u64::from(bundle.is_some()), "rankers");
    let mut rows = Vec::new();
    if let Some(bundle) = &bundle {
        let ranker = known_articles(bundle, &dataset, &histories)?;
        let mut row = evaluation.row(&ranker)?;
        let config = serde_json::from_value::<TrainingConfig>(bundle.manifest().training.clone()).ok();
        if let Some(vectors) = ranker.vectors()
            && let Some(tests) = config.and_then(|config| config.pair_tests(evaluation))
        {
            row.metrics.extend(tests.metrics(vectors)?);
        }
        rows.push(row);
        progress.add(1);
    }
    let train = split.train_and_validation();
    let known = Known { dataset: &dataset, histories: &histories, train: &train };
    for name in baselines {
        let ranker = baselines::baseline(name, known).ok_or_else(|| anyhow!("there is no baseline `{name}`"))?;
        rows.push(evaluation.row(ranker.as_ref())?);
        progress.add(1);
    }
    progress.finish(&format!("{} rankers, {} users", rows.len(), split.test.len()));

    let report = Report::new(&evaluation, rows);
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

/// A bundle of other data would score 0 everywhere without a word.
fn known_articles<'a>(
    bundle: &'a Bundle,
    dataset: &'a Dataset,
    histories: &'a Histories,
) -> anyhow::Result<BundleRanker<'a, impl QueryVectors + 'a>> {
    let known = dataset.articles.ids.iter().filter(|id| bundle.encoder().item_row(id).is_some()).count();
    if known == 0 {
        return Err(anyhow!("the bundle knows none of the {} articles of the data", dataset.articles.len()))
            .or_bad_input();
    }
    if known < dataset.articles.len() {
        eprintln!(
            "warning: {} of {} articles are unknown to the bundle and never recommended by it",
            dataset.articles.len() - known,
            dataset.articles.len()
        );
    }
    Ok(bundle_ranker(bundle, dataset, histories))
}

/// The `split` of the training configuration in a manifest.
fn trained_protocol(manifest: &Manifest) -> Option<Protocol> {
    serde_json::from_value(manifest.training.get("split")?.clone()).ok()
}

/// The arguments', else the bundle's, else what the times allow. Nothing is set aside for validation: baselines learn
/// from everything before the test.
fn choose(arguments: &EvaluateArguments, trained: Option<Protocol>, unit: TimeUnit) -> anyhow::Result<Protocol> {
    let trained_days = match trained {
        Some(Protocol::Temporal { test_days, .. }) => Some(test_days),
        _ => None,
    };
    let name = arguments.protocol.unwrap_or(match trained {
        Some(Protocol::LeaveOneOut) => ProtocolName::LeaveOneOut,
        None if unit == TimeUnit::Position => ProtocolName::LeaveOneOut,
        _ => ProtocolName::Temporal,
    });
    match name {
        ProtocolName::LeaveOneOut if arguments.test_days.is_some() => {
            Err(anyhow!("--test-days is for `--protocol temporal`")).or_bad_input()
        }
        ProtocolName::LeaveOneOut => Ok(Protocol::LeaveOneOut),
        ProtocolName::Temporal => {
            Ok(Protocol::Temporal { test_days: arguments.test_days.or(trained_days).unwrap_or(7), validation_days: 0 })
        }
    }
}

/// Whether two protocols hold the same purchases out for the test.
fn tests_the_same(a: Protocol, b: Protocol) -> bool {
    match (a, b) {
        (Protocol::Temporal { test_days: a, .. }, Protocol::Temporal { test_days: b, .. }) => a == b,
        (Protocol::LeaveOneOut, Protocol::LeaveOneOut) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: EvaluateArguments,
    }

    fn parse(line: &str) -> Result<EvaluateArguments, clap::Error> {
        Line::try_parse_from(format!("evaluate --data x {line}").split_whitespace()).map(|line| line.arguments)
    }

    #[test]
    fn one_ranker_is_named() {
        assert!(parse("--baseline all").is_ok() && parse("--bundle b --json").is_ok());
        for wrong in ["", "--baseline all --bundle b", "--baseline best", "--baseline all --test-days 0"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_protocol_is_the_arguments_then_the_bundles_then_the_datas() {
        let temporal = |test_days| Protocol::Temporal { test_days, validation_days: 0 };
        let trained = Some(Protocol::Temporal { test_days: 3, validation_days: 3 });
        let chosen = |line: &str, trained, unit| choose(&parse(line).unwrap(), trained, unit).ok();
        for (line, trained, unit, expected) in [
            ("--baseline all", None, TimeUnit::Day, Some(temporal(7))),
            ("--baseline all", None, TimeUnit::Position, Some(Protocol::LeaveOneOut)),
            ("--bundle b", trained, TimeUnit::Day, Some(temporal(3))),
            ("--bundle b --test-days 9", trained, TimeUnit::Day, Some(temporal(9))),
            ("--bundle b", Some(Protocol::LeaveOneOut), TimeUnit::Second, Some(Protocol::LeaveOneOut)),
            ("--bundle b --protocol temporal", Some(Protocol::LeaveOneOut), TimeUnit::Second, Some(temporal(7))),
            ("--baseline all --protocol leave-one-out --test-days 9", None, TimeUnit::Day, None),
        ] {
            assert_eq!(chosen(line, trained, unit), expected, "{line}");
        }
        assert!(tests_the_same(temporal(3), Protocol::Temporal { test_days: 3, validation_days: 3 }));
        assert!(!tests_the_same(temporal(3), Protocol::LeaveOneOut));
    }
}
