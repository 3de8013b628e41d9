//! `vitrine-trainer evaluate`: a bundle or baselines on held-out purchases.

use super::placements;
use crate::{
    bundle::{Bundle, Manifest, MeasuredState, RowKind},
    cli::{BadInput, OrBadInput, data::DataArguments},
    dataset::{Dataset, Histories, Protocol, Repeats, Split, SplitError, TimeUnit},
    evaluation::{
        BundleRanker, BySegment, Details, Evaluation, METRICS, Measured, PipelineTest,
        QueryVectors, Report, Test,
        baselines::{self, Known, Tuning},
        bundle_ranker, seen, verdict,
    },
    experiments::details,
    progress::Progress,
    recommend::{Model, Placement},
    training::{Refit, TrainingConfig},
};
use anyhow::{Context, anyhow};
use std::{path::PathBuf, sync::Arc};

/// Ranks the whole catalogue for held-out purchases and prints the metrics, a bundle's beside the
/// baselines'.
///
/// Every number comes with a 95 % interval. docs/evaluation.md explains protocols, ties, repeats
/// and baselines.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  vitrine-trainer evaluate --data shop --bundle models/retrieval/20260131T120000000Z-1a2b3c4d\n  \
                        vitrine-trainer evaluate --data ml-100k --baseline all --protocol leave-one-out --tie-seeds 3 --json"
)]
#[command(group = clap::ArgGroup::new("ranker"))]
#[command(group = clap::ArgGroup::new("anything").args(["bundle", "baseline", "placement"]).required(true).multiple(true))]
pub struct EvaluateArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Folder of a bundle's version; the baselines are evaluated too.
    #[arg(long, value_name = "DIR", group = "ranker")]
    bundle: Option<PathBuf>,
    /// A placement (TOML, as in docs/placements.md): its sources and ranking as the server runs
    /// them; may be given several times. With `--bundle`, the bundle is the model of the placements
    /// that name none. The baselines are evaluated too.
    #[arg(long, value_name = "FILE")]
    placement: Vec<PathBuf>,
    /// Print how the rows do by segment of customers and articles, and of placements what each
    /// source finds, how well the ranker's shares hold, and how long an answer takes.
    #[arg(long)]
    details: bool,
    /// A baseline alone, or all of them.
    #[arg(long, value_name = "NAME", group = "ranker", value_parser = baseline_names())]
    baseline: Option<String>,
    /// Which purchases are held out: as the bundle was trained, else `time` where there are dates.
    /// `loo-strict` and `loo-refit` are leave-one-out for baselines that did not, or did, learn
    /// from the validation purchases; `leave-one-out` is `loo-refit` without a bundle. `temporal`
    /// is an old name of `time`.
    #[arg(long)]
    protocol: Option<ProtocolName>,
    /// Length of the test window of `time`, 7 unless the bundle was trained with another.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    test_days: Option<u32>,
    /// What becomes of articles that the customer had bought before: `drop` does not ask for them
    /// and does not recommend them (usual for leave-one-out), `keep` treats them like any other
    /// (usual for `time`).
    #[arg(long)]
    repeats: Option<RepeatsName>,
    /// Draw the order of purchases of one moment so many times and print the mean.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    tie_seeds: u64,
    /// Go on, with a warning, when the bundle has seen the purchases it is tested by.
    #[arg(long)]
    allow_seen: bool,
    /// One JSON object on standard output instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ProtocolName {
    #[value(alias = "temporal")]
    Time,
    LeaveOneOut,
    LooStrict,
    LooRefit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RepeatsName {
    Drop,
    Keep,
}

/// The test of a table, and what everything in it learns from.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Choice {
    protocol: Protocol,
    trained_on: MeasuredState,
}

fn baseline_names() -> clap::builder::PossibleValuesParser {
    baselines::NAMES.into_iter().chain(["all"]).into()
}

/// # Errors
/// Data, bundles and protocols that can't be used are bad input, and so is a test that the bundle
/// has seen.
pub fn run(arguments: &EvaluateArguments) -> anyhow::Result<()> {
    // The bundle first: opening it fails fast, loading the data may take a minute.
    let bundle = arguments.bundle.as_deref().map(Bundle::open).transpose().or_bad_input()?;
    let dataset = arguments.data.load()?;
    let trained = bundle.as_ref().and_then(|bundle| trained(bundle.manifest()));
    let choice = choose(arguments, trained, dataset.time_unit)?;
    let names = names(arguments, dataset.articles.len())?;
    let placements = placements::read(&arguments.placement).or_bad_input()?;
    let bundle = bundle.map(Arc::new);
    let first = bundle
        .as_ref()
        .and_then(|bundle| bundle.manifest().measured.as_ref())
        .map_or(0, |m| m.tie_seed);
    let work = Work {
        arguments,
        bundle: bundle.as_ref(),
        dataset: &dataset,
        choice,
        names: &names,
        placements,
    };
    let progress = Progress::new("evaluate", arguments.tie_seeds * work.rankers(), "rankers");
    let seeds: Vec<u64> = (first..first + arguments.tie_seeds).collect();
    let tables = seeds
        .iter()
        .map(|&seed| work.table(seed, &progress))
        .collect::<anyhow::Result<Vec<Table>>>()?;
    let users = tables.iter().map(|table| table.users).sum::<usize>() / tables.len();
    progress.finish(&format!("{} rankers, {users} users", work.rankers()));

    let rows: Vec<Measured> = (0..tables[0].rows.len())
        .filter_map(|at| {
            Measured::pooled(&tables.iter().map(|table| table.rows[at].clone()).collect::<Vec<_>>())
        })
        .collect();
    let test = Test {
        protocol: choice.protocol.name(choice.trained_on == MeasuredState::TrainingAndValidation),
        users,
        items: dataset.articles.len(),
        split: tables[0].split,
        trained_on: choice.trained_on,
        dropped: tables.iter().map(|table| table.dropped).sum::<usize>() / tables.len(),
        tie_seeds: seeds,
        seen: tables[0].seen.clone(),
    };
    let metric =
        bundle.as_ref().map_or_else(|| USUAL.to_owned(), |bundle| metric(bundle.manifest()));
    let baselines: Vec<Measured> =
        rows.iter().filter(|row| row.row.kind == RowKind::Baseline).cloned().collect();
    let verdict = bundle.as_ref().and_then(|_| verdict(&rows[0], &baselines, &metric));
    let (mut by_segment, mut behind) = (Vec::new(), Vec::new());
    if arguments.details {
        let of =
            |row: &Measured| BySegment { name: row.row.name.clone(), segments: row.by_segment() };
        by_segment.extend(rows.iter().map(of));
        behind.extend((0..tables[0].details.len()).filter_map(|at| {
            Details::pooled(
                &tables.iter().map(|table| table.details[at].clone()).collect::<Vec<_>>(),
            )
        }));
    }
    let rows = rows.into_iter().map(|measured| measured.row).collect();
    let report = Report { test, rows, verdict, by_segment, placements: behind };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    println!("{report}");
    let segments: Vec<_> =
        report.by_segment.iter().map(|row| (row.name.as_str(), row.segments.as_slice())).collect();
    let parts = details::by_segment(&metric, &segments).into_iter();
    parts
        .chain(report.placements.iter().map(details::sources))
        .for_each(|part| print!("\n{}", part.text()));
    Ok(())
}

/// What judges where no bundle says.
const USUAL: &str = "ndcg@10";

/// What is evaluated.
struct Work<'a> {
    arguments: &'a EvaluateArguments,
    bundle: Option<&'a Arc<Bundle>>,
    dataset: &'a Dataset,
    choice: Choice,
    names: &'a [&'static str],
    /// With their names.
    placements: Vec<(String, Placement)>,
}

/// The rows of one draw of the ties.
struct Table {
    rows: Vec<Measured>,
    /// Of the placements.
    details: Vec<Details>,
    split: Protocol,
    users: usize,
    dropped: usize,
    seen: Option<String>,
}

impl Work<'_> {
    fn rankers(&self) -> u64 {
        (self.names.len() + self.placements.len()) as u64 + u64::from(self.bundle.is_some())
    }

    fn table(&self, tie_seed: u64, progress: &Progress) -> anyhow::Result<Table> {
        let dataset = self.dataset;
        let histories = Histories::with_ties(dataset, tie_seed);
        let split = self.split(&histories).context("cannot hold purchases out").or_bad_input()?;
        let protocol = split.protocol;
        let evaluation =
            Evaluation { dataset, histories: &histories, protocol, cases: &split.test };
        let (mut rows, mut seen) = (Vec::new(), None);
        let train = match self.choice.trained_on {
            MeasuredState::Training => split.train.clone(),
            MeasuredState::TrainingAndValidation => split.train_and_validation(),
        };
        let known = Known { dataset, histories: &histories, train: &train };
        if let Some(bundle) = self.bundle {
            seen = self.seen(bundle, &split)?;
            let ranker = known_articles(bundle, known, protocol)?;
            let mut measured = evaluation.measure(&ranker)?;
            let config =
                serde_json::from_value::<TrainingConfig>(bundle.manifest().training.clone()).ok();
            if let Some(vectors) = ranker.vectors()
                && let Some(tests) = config.and_then(|config| config.pair_tests(evaluation))
            {
                measured.row.metrics.extend(tests.metrics(vectors)?);
            }
            rows.push(measured);
            progress.add(1);
        }
        let (placed, details) = self.placed(known, evaluation, progress)?;
        rows.extend(placed);
        let metric =
            self.bundle.map_or_else(|| USUAL.to_owned(), |bundle| metric(bundle.manifest()));
        let tuning = Tuning::new(dataset, &histories, &split, &metric, &|| false);
        for name in self.names {
            rows.push(baselines::measure(name, &evaluation, &train, tuning.as_ref())?);
            progress.add(1);
        }
        Ok(Table {
            rows,
            details,
            split: protocol,
            users: split.test.len(),
            dropped: split.dropped.test,
            seen,
        })
    }

    /// A row for each placement, and what stands behind it.
    fn placed(
        &self,
        known: Known<'_>,
        evaluation: Evaluation<'_>,
        progress: &Progress,
    ) -> anyhow::Result<(Vec<Measured>, Vec<Details>)> {
        let (mut rows, mut details) = (Vec::new(), Vec::new());
        if self.placements.is_empty() {
            return Ok((rows, details));
        }
        let models: Vec<_> =
            self.bundle.into_iter().map(|bundle| bundle.clone() as Arc<dyn Model>).collect();
        let test = PipelineTest::new(evaluation, known, &models)?;
        for (name, placement) in &self.placements {
            // What does not fit is the user's to mend.
            test.scorer(name, placement).or_bad_input()?;
            let (row, behind) = test.measure(name, placement)?;
            rows.push(row);
            details.push(behind);
            progress.add(1);
        }
        Ok((rows, details))
    }

    /// Without a validation window where one would leave nothing to train on; nothing can be tuned
    /// then.
    fn split(&self, histories: &Histories) -> Result<Split, SplitError> {
        match (Split::new(self.dataset, histories, self.choice.protocol), self.choice.protocol) {
            (Err(SplitError::NothingToTrain(_)), Protocol::Time { test_days, repeats, .. }) => {
                Split::new(
                    self.dataset,
                    histories,
                    Protocol::Time { test_days, validation_days: 0, repeats },
                )
            }
            (split, _) => split,
        }
    }

    /// Why the numbers of a bundle say little, where `--allow-seen` lets it be tested on what it
    /// has seen.
    fn seen(&self, bundle: &Bundle, split: &Split) -> anyhow::Result<Option<String>> {
        match seen(bundle.manifest(), self.dataset, &self.dataset.fingerprint(), split) {
            Ok(()) => Ok(None),
            Err(reason) if self.arguments.allow_seen => {
                eprintln!("warning: {reason}");
                Ok(Some(reason.to_string()))
            }
            Err(reason) => Err(BadInput(anyhow!(
                "{reason}. Test on data that goes on after what the bundle was trained on, or on the test that it was \
                 trained to hold out; --allow-seen measures anyway"
            ))
            .into()),
        }
    }
}

/// The baselines asked for, as far as the catalogue allows them.
fn names(arguments: &EvaluateArguments, articles: usize) -> anyhow::Result<Vec<&'static str>> {
    let asked = |name: &str| {
        arguments.baseline.as_deref().is_none_or(|asked| asked == "all" || asked == name)
    };
    let mut names = Vec::new();
    for name in baselines::NAMES.into_iter().filter(|name| asked(name)) {
        match baselines::unavailable(name, articles) {
            None => names.push(name),
            Some(reason) if arguments.baseline.as_deref() == Some(name) => {
                return Err(anyhow!("{reason}")).or_bad_input();
            }
            Some(reason) => eprintln!("{reason}"),
        }
    }
    Ok(names)
}

/// A bundle of other data would score 0 everywhere without a word.
fn known_articles<'a>(
    bundle: &'a Bundle,
    shop: Known<'a>,
    protocol: Protocol,
) -> anyhow::Result<BundleRanker<'a, impl QueryVectors + 'a>> {
    let dataset = shop.dataset;
    let known =
        dataset.articles.ids.iter().filter(|id| bundle.encoder().item_row(id).is_some()).count();
    if known == 0 {
        return Err(anyhow!(
            "the bundle knows none of the {} articles of the data",
            dataset.articles.len()
        ))
        .or_bad_input();
    }
    if known < dataset.articles.len() {
        eprintln!(
            "warning: {} of {} articles are unknown to the bundle and never recommended by it",
            dataset.articles.len() - known,
            dataset.articles.len()
        );
    }
    bundle_ranker(bundle, shop, protocol).or_bad_input()
}

/// The test that a bundle was trained to hold out.
fn trained(manifest: &Manifest) -> Option<Choice> {
    let split = manifest.training.get("split")?.clone();
    let refit =
        manifest.training.get("training").and_then(|training| training.get("refit")).cloned();
    let refit = refit.and_then(|refit| serde_json::from_value::<Refit>(refit).ok());
    let trained_on = match (&manifest.measured, refit) {
        (Some(measured), _) => measured.state,
        (None, None | Some(Refit::None)) => MeasuredState::Training,
        (None, Some(_)) => MeasuredState::TrainingAndValidation,
    };
    Some(Choice { protocol: serde_json::from_value(split).ok()?, trained_on })
}

/// What chose the bundle, where that is a metric of rankings.
fn metric(manifest: &Manifest) -> String {
    let chosen =
        manifest.training.get("training").and_then(|training| training.get("metric")?.as_str());
    let known = chosen.filter(|chosen| METRICS.iter().any(|metric| metric.name() == *chosen));
    known.unwrap_or(USUAL).to_owned()
}

/// The arguments', else the bundle's, else what the times allow.
fn choose(
    arguments: &EvaluateArguments,
    trained: Option<Choice>,
    unit: TimeUnit,
) -> anyhow::Result<Choice> {
    let bad = |problem: &str| Err(anyhow!("{problem}")).or_bad_input();
    let held_out = trained.map(|trained| trained.protocol);
    let name = arguments.protocol.unwrap_or(match held_out {
        Some(Protocol::LeaveOneOut { .. }) => ProtocolName::LeaveOneOut,
        None if unit == TimeUnit::Position => ProtocolName::LeaveOneOut,
        _ => ProtocolName::Time,
    });
    let protocol = match (name, held_out) {
        (ProtocolName::Time, held_out) => {
            let (days, validation_days) = match held_out {
                Some(Protocol::Time { test_days, validation_days, .. }) => {
                    (test_days, validation_days)
                }
                _ => (7, 7),
            };
            let test_days = arguments.test_days.unwrap_or(days);
            Protocol::time(test_days, if held_out.is_some() { validation_days } else { test_days })
        }
        _ if arguments.test_days.is_some() => return bad("--test-days is for `--protocol time`"),
        _ if arguments.bundle.is_some() && arguments.tie_seeds > 1 => {
            return bad(
                "--tie-seeds is for baselines: a bundle was trained to hold out the purchases of one draw of the ties. \
                 `vitrine-trainer compare --seeds 1,2,3` trains one bundle for each",
            );
        }
        _ => Protocol::leave_one_out(),
    };
    let own = held_out.filter(|own| own.tests_the_same(protocol)).map(Protocol::repeats);
    let asked = arguments.repeats.map(|repeats| match repeats {
        RepeatsName::Drop => Repeats::Drop,
        RepeatsName::Keep => Repeats::Keep,
    });
    let protocol = protocol.with_repeats(asked.or(own).unwrap_or(protocol.repeats()));
    let of_bundle =
        trained.map_or(MeasuredState::TrainingAndValidation, |trained| trained.trained_on);
    let trained_on = match name {
        ProtocolName::LooStrict => MeasuredState::Training,
        ProtocolName::LooRefit => MeasuredState::TrainingAndValidation,
        ProtocolName::LeaveOneOut | ProtocolName::Time => of_bundle,
    };
    if trained.is_some() && trained_on != of_bundle {
        return bad(&format!(
            "the bundle was trained on {}, so its leave-one-out is `{}`",
            of_bundle.words(),
            protocol.name(of_bundle == MeasuredState::TrainingAndValidation)
        ));
    }
    Ok(Choice { protocol, trained_on })
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
        Line::try_parse_from(format!("evaluate --data x {line}").split_whitespace())
            .map(|line| line.arguments)
    }

    #[test]
    fn one_ranker_is_named() {
        assert!(parse("--baseline all").is_ok() && parse("--bundle b --json").is_ok());
        for wrong in
            ["", "--baseline all --bundle b", "--baseline best", "--baseline all --test-days 0"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_protocol_is_the_arguments_then_the_bundles_then_the_datas() {
        use MeasuredState::{Training, TrainingAndValidation};
        let (time, leave) = (Protocol::time, Protocol::leave_one_out());
        let chosen = |line: &str, trained: Option<(Protocol, MeasuredState)>, unit| {
            let trained = trained.map(|(protocol, trained_on)| Choice { protocol, trained_on });
            choose(&parse(line).unwrap(), trained, unit)
                .ok()
                .map(|choice| (choice.protocol, choice.trained_on))
        };
        let week = Some((time(3, 5), Training));
        let strict = Some((leave.with_repeats(Repeats::Keep), Training));
        for (line, trained, unit, expected) in [
            ("--baseline all", None, TimeUnit::Day, Some((time(7, 7), TrainingAndValidation))),
            (
                "--baseline all --test-days 60",
                None,
                TimeUnit::Day,
                Some((time(60, 60), TrainingAndValidation)),
            ),
            ("--baseline all", None, TimeUnit::Position, Some((leave, TrainingAndValidation))),
            ("--baseline all --protocol loo-strict", None, TimeUnit::Day, Some((leave, Training))),
            ("--bundle b", week, TimeUnit::Day, Some((time(3, 5), Training))),
            ("--bundle b --test-days 9", week, TimeUnit::Day, Some((time(9, 5), Training))),
            (
                "--bundle b",
                strict,
                TimeUnit::Second,
                Some((leave.with_repeats(Repeats::Keep), Training)),
            ),
            ("--bundle b --repeats drop", strict, TimeUnit::Second, Some((leave, Training))),
            (
                "--bundle b --protocol temporal",
                strict,
                TimeUnit::Second,
                Some((time(7, 7), Training)),
            ),
            ("--bundle b --protocol loo-refit", strict, TimeUnit::Second, None),
            ("--bundle b --tie-seeds 3", strict, TimeUnit::Second, None),
            ("--baseline all --protocol leave-one-out --test-days 9", None, TimeUnit::Day, None),
        ] {
            assert_eq!(chosen(line, trained, unit), expected, "{line}");
        }
    }
}
