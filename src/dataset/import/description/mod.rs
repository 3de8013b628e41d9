//! `dataset.toml`: the description of any shop's files. `docs/datasets.md` documents the format.
//!
//! [`sections`] is the file as written, [`table`] what all sections have in common; here the parts
//! are checked against each other and become a [`Plan`].

mod sections;
mod table;

use super::error::DatasetError;
use super::limit::MaxRejects;
use super::moment::{AnyOf, TimeFormat, TimePlan, Zone};
use super::plan::{Duplicates, EntityPlan, EventPlan, Field, Plan, PurchasePlan, Returns};
use super::presets::{self, Preset};
use super::rows::TablePlan;
use super::values::Missing;
use sections::{EntitySection, PurchaseSection, Unknown};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};
use table::Context;

/// The file as written, its parts not yet checked against each other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    preset: Option<Preset>,
    #[serde(default)]
    missing: Vec<String>,
    time_zone: Option<String>,
    pub max_rejects: Option<MaxRejects>,
    #[serde(default)]
    allow_future: bool,
    articles: Option<EntitySection>,
    customers: Option<EntitySection>,
    purchases: Option<PurchaseSection>,
}

/// Where a description is wrong.
struct Wrong<'a>(&'a Path);

impl Wrong<'_> {
    fn because(&self, detail: impl Into<String>) -> DatasetError {
        DatasetError::Description {
            path: self.0.to_owned(),
            place: String::new(),
            detail: detail.into(),
        }
    }
}

impl Description {
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let text = fs::read_to_string(path)
            .map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| {
                let before = &text[..span.start];
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
                format!(", line {line}, column {column}")
            });
            DatasetError::Description {
                path: path.to_owned(),
                place,
                detail: error.message().to_owned(),
            }
        })
    }

    /// Whether this is the bare name of a preset.
    pub fn is_preset(&self, preset: Preset) -> bool {
        let sections =
            self.articles.is_some() || self.customers.is_some() || self.purchases.is_some();
        self.preset == Some(preset) && !sections
    }

    /// The plan of a description that maps columns or refines the columns of a preset with tables.
    /// Files are relative to `dir`.
    pub fn into_plan(self, dir: &Path, path: &Path) -> Result<Plan, DatasetError> {
        let wrong = Wrong(path);
        match self.preset {
            Some(Preset::Hm) => self.refine(presets::hm(dir)?, &wrong),
            Some(Preset::Recbole) => self.refine(presets::recbole(dir)?, &wrong),
            Some(Preset::Sequences) => Err(wrong.because("the preset sequences takes no sections")),
            Some(Preset::RentTheRunway) => {
                Err(wrong.because("the preset rent-the-runway takes no sections"))
            }
            None => self.map(dir, &wrong),
        }
    }

    fn refine(self, mut plan: Plan, wrong: &Wrong) -> Result<Plan, DatasetError> {
        if self.purchases.is_some() {
            return Err(
                wrong.because("with a preset, [purchases] is given by it; leave the section out")
            );
        }
        for (name, section, entities) in [
            ("articles", self.articles, &mut plan.articles),
            ("customers", self.customers, &mut plan.customers),
        ] {
            let Some(mut section) = section else { continue };
            let Some(entities) = entities else {
                return Err(wrong.because(format!("the preset finds no file of {name} to refine")));
            };
            if section.says_more_than_attributes() {
                return Err(
                    wrong.because(format!("with a preset, [{name}] takes only `keep` and `types`"))
                );
            }
            refine(section, entities, name, wrong)?;
        }
        let tables =
            plan.articles.iter_mut().chain(&mut plan.customers).map(|entities| &mut entities.table);
        for table in tables.chain([&mut plan.purchases.table]) {
            table.cells.missing = Missing::with(&self.missing);
        }
        plan.purchases.allow_future = self.allow_future;
        Ok(plan)
    }

    fn map(self, dir: &Path, wrong: &Wrong) -> Result<Plan, DatasetError> {
        let Some(purchases) = self.purchases else {
            return Err(wrong.because(
                "say `preset = \"…\"` or describe the purchases in a section [purchases]",
            ));
        };
        let context = Context { dir, wrong, missing: &self.missing };
        let zone = (purchases.time_zone.as_ref().or(self.time_zone.as_ref())).cloned();
        let allow_future = purchases.allow_future.unwrap_or(self.allow_future);
        let purchases = PurchasePlan { allow_future, ..purchase_plan(purchases, zone, &context)? };
        let entities = |section: Option<EntitySection>, name: &str| {
            section.map(|section| entity_plan(section, name, &purchases, &context)).transpose()
        };
        Ok(Plan {
            kind: wrong.0.display().to_string(),
            articles: entities(self.articles, "articles")?,
            customers: entities(self.customers, "customers")?,
            purchases,
        })
    }
}

/// The plan of articles or customers. Where they share a file with the purchases, each of its rows
/// tells of an entity again.
fn entity_plan(
    mut section: EntitySection,
    name: &str,
    purchases: &PurchasePlan,
    context: &Context,
) -> Result<EntityPlan, DatasetError> {
    let wrong = context.wrong;
    let keys = section.take_table();
    let (Some(_), Some(id)) = (&keys.files, section.id.take()) else {
        return Err(wrong.because(format!("[{name}] needs `files` and `id`")));
    };
    let fields = [
        (section.price.take(), Field::Price),
        (section.available.take(), Field::Available),
        (section.image.take(), Field::Image),
    ];
    let fields: Vec<(String, Field)> =
        fields.into_iter().filter_map(|(column, field)| Some((column?, field))).collect();
    if name == "customers" && !fields.is_empty() {
        return Err(wrong.because(
            "[customers] takes no `price`, `available` or `image`; they belong to [articles]",
        ));
    }
    let mut plan = EntityPlan { fields, ..EntityPlan::of(context.table(keys, name)?, &id) };
    let is_shared = shares_file(&plan.table, &purchases.table);
    if is_shared {
        plan.left_out = purchases.columns().into_iter().map(str::to_owned).collect();
        plan.may_lack_ids = true;
    }
    plan.duplicates =
        section.duplicates.unwrap_or(if is_shared { Duplicates::Last } else { Duplicates::Reject });
    plan.open = section.unknown == Some(Unknown::Add);
    refine(section, &mut plan, name, wrong)?;
    Ok(plan)
}

fn shares_file(one: &TablePlan, other: &TablePlan) -> bool {
    one.files.iter().any(|file| other.files.iter().any(|other| other.path == file.path))
}

/// Applies `keep` and `types` to the columns of a plan.
fn refine(
    section: EntitySection,
    plan: &mut EntityPlan,
    name: &str,
    wrong: &Wrong,
) -> Result<(), DatasetError> {
    let EntitySection { keep, types, .. } = section;
    if let Some(left_out) =
        keep.iter().flat_map(|keep| types.keys().find(|column| !keep.contains(column))).next()
    {
        return Err(
            wrong.because(format!("[{name}] gives `{left_out}` a type but does not keep it"))
        );
    }
    if let Some(id) = keep.iter().flatten().find(|column| **column == plan.id) {
        return Err(
            wrong.because(format!("[{name}] keeps `{id}`, which is the id and always kept"))
        );
    }
    plan.needed.extend(types.keys().cloned());
    plan.left_out.retain(|column| !types.contains_key(column));
    plan.types.extend(types.iter().map(|(column, kind)| (column.clone(), kind.column_type())));
    plan.keep = keep;
    Ok(())
}

fn purchase_plan(
    mut section: PurchaseSection,
    zone: Option<String>,
    context: &Context,
) -> Result<PurchasePlan, DatasetError> {
    let because = |why: &str| context.wrong.because(format!("[purchases] {why}"));
    let table = context.table(section.take_table(), "purchases")?;
    let mut plan = PurchasePlan::of(table, &section.article, &section.customer);
    plan.time = time_plan(&section, zone).map_err(|why| because(&why))?;
    plan.event = event_plan(section.event, section.events).map_err(|why| because(&why))?;
    plan.rating = match (section.rating, section.min_rating) {
        (Some(column), Some(lowest)) => Some((column, lowest)),
        (None, None) => None,
        _ => {
            return Err(because(
                "`rating` and `min_rating` need each other: the column, and the lowest that counts",
            ));
        }
    };
    plan.returns = section.returns.unwrap_or_default();
    let has_quantity = section.quantity.is_some()
        || plan.table.split.as_ref().is_some_and(|s| s.quantity.is_some());
    if section.returns.is_some() && !has_quantity {
        return Err(because(
            "has `returns` but no `quantity`, the column that is negative for a return",
        ));
    }
    if plan.returns == Returns::Cancel && plan.time.is_none() {
        return Err(because(
            "returns = \"cancel\" needs `time`, to tell what was bought before a return",
        ));
    }
    plan.price = section.price;
    plan.channel = section.channel;
    plan.quantity = section.quantity;
    plan.weight = section.weight;
    Ok(plan)
}

fn time_plan(section: &PurchaseSection, zone: Option<String>) -> Result<Option<TimePlan>, String> {
    let formats = section.time_format.clone().map_or_else(Vec::new, sections::OneOrMore::into_vec);
    let formats = formats.into_iter().map(TimeFormat::try_from).collect::<Result<Vec<_>, _>>()?;
    let Some(columns) = section.time.clone().map(sections::OneOrMore::into_vec) else {
        return match formats.is_empty() {
            true => Ok(None),
            false => Err("has a `time_format` but no `time` column".to_owned()),
        };
    };
    let formats = match formats.is_empty() {
        true if columns.len() > 1 => vec![TimeFormat::Auto],
        true => vec![TimeFormat::Date],
        // Several formats of one column: each row is in one of them.
        false if columns.len() == 1 && formats.len() > 1 => {
            vec![TimeFormat::AnyOf(AnyOf::new(formats)?)]
        }
        false => formats,
    };
    if columns.is_empty() || formats.len() > 1 && formats.len() != columns.len() {
        return Err("needs one `time_format`, or one for each column of `time`".to_owned());
    }
    if formats[0].is_part() {
        return Err(format!("`{}` needs a column with a date before it", formats[0].name()));
    }
    if let Some(whole) = formats[1..].iter().find(|format| !format.is_part()) {
        return Err(format!(
            "a second column of `time` is read as clock, seconds or millis, not as `{}`; with one `time_format` \
             the columns are joined with a blank",
            whole.name()
        ));
    }
    let zone = zone
        .map(|name| Zone::parse(&name))
        .transpose()
        .map_err(|why| format!("`time_zone`: {why}"))?;
    Ok(Some(TimePlan { columns, formats, zone: zone.unwrap_or_default() }))
}

fn event_plan(
    column: Option<String>,
    weights: BTreeMap<String, f32>,
) -> Result<Option<EventPlan>, String> {
    let Some(column) = column else {
        return match weights.is_empty() {
            true => Ok(None),
            false => {
                Err("has `events` but no `event`, the column that holds the type of a row"
                    .to_owned())
            }
        };
    };
    if let Some((event, weight)) =
        weights.iter().find(|(_, weight)| !weight.is_finite() || **weight < 0.0)
    {
        return Err(format!(
            "the weight of the event `{event}` is {weight}, but must be a number above 0"
        ));
    }
    let weights: BTreeMap<String, f32> =
        weights.into_iter().filter(|(_, weight)| *weight > 0.0).collect();
    if weights.is_empty() {
        return Err(
            "has `event` but no `events`: say which types count, such as events = { purchase = 1.0 }".to_owned()
        );
    }
    Ok(Some(EventPlan { column, weights }))
}

impl EntitySection {
    /// Whether a section has keys that only a description without a preset takes.
    fn says_more_than_attributes(&mut self) -> bool {
        let sections::TableKeys {
            files,
            format,
            delimiter,
            quoted,
            encoding,
            header,
            columns,
            skip_lines,
            sheet,
            member,
            missing,
            decimal,
            filter,
            fill_down,
            split,
            join,
        } = self.take_table();
        let of_files =
            files.is_some() || format.is_some() || delimiter.is_some() || quoted.is_some();
        let of_text =
            encoding.is_some() || header.is_some() || columns.is_some() || skip_lines.is_some();
        let of_containers = sheet.is_some() || member.is_some();
        let of_rows = filter.len() + missing.len() > 0 || decimal.is_some() || fill_down.is_some();
        let of_tables = split.is_some() || join.is_some() || self.id.is_some();
        let fields = self.price.is_some() || self.available.is_some() || self.image.is_some();
        let of_entities = fields || self.duplicates.is_some() || self.unknown.is_some();
        of_files || of_text || of_containers || of_rows || of_tables || of_entities
    }
}
