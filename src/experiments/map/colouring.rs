//! Items in groups of one colour.

use crate::{
    dataset::{Entities, Values},
    experiments::ExperimentError,
    plots::PALETTE,
};
use std::collections::HashMap;

/// Groups that have a colour of their own; the rest are `other`.
const GROUPS: usize = 11;
/// Parts that the values of a number are cut into.
const PARTS: usize = 6;
const GREY: [u8; 3] = [150, 150, 150];
const PALE: [u8; 3] = [205, 205, 205];

/// The group of each item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Colouring {
    pub(super) attribute: Option<String>,
    pub(super) groups: Vec<Group>,
    pub(super) of: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) count: usize,
    pub(super) colour: [u8; 3],
}

impl Group {
    pub(super) fn css(&self) -> String {
        let [r, g, b] = self.colour;
        format!("rgb({r},{g},{b})")
    }
}

impl Colouring {
    /// One colour for all.
    pub(super) fn plain(items: usize) -> Self {
        let group = Group { name: "items".to_owned(), count: items, colour: PALETTE[0] };
        Self { attribute: None, groups: vec![group], of: vec![0; items] }
    }

    /// By the values of an attribute: its most frequent ones, others, and items without one. A
    /// number is cut at its quantiles; of several tags the first counts.
    pub(super) fn by(
        attribute: &str,
        articles: &Entities,
        rows: &[Option<usize>],
    ) -> Result<Self, ExperimentError> {
        let column = articles.column(attribute).ok_or_else(|| {
            let mut names: Vec<&str> =
                articles.columns.iter().map(|column| column.name.as_str()).collect();
            names.sort_unstable();
            ExperimentError::Input(format!(
                "articles have no attribute `{attribute}`; they have {}",
                names.join(", ")
            ))
        })?;
        let values: Vec<Option<String>> = match &column.values {
            Values::Number(_) | Values::Integer(_) => {
                parts(&rows.iter().map(|row| column.values.number((*row)?)).collect::<Vec<_>>())
            }
            values => rows
                .iter()
                .map(|row| {
                    values
                        .category((*row)?)
                        .or_else(|| values.tags((*row)?).next())
                        .map(str::to_owned)
                })
                .collect(),
        };
        let mut counts: HashMap<&str, usize> = HashMap::new();
        values.iter().flatten().for_each(|value| *counts.entry(value).or_default() += 1);
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let own = counts.len().min(GROUPS);
        let mut groups: Vec<Group> = counts[..own]
            .iter()
            .zip(PALETTE)
            .map(|(&(name, count), colour)| Group { name: name.to_owned(), count, colour })
            .collect();
        if matches!(column.values, Values::Number(_) | Values::Integer(_)) {
            // In the order of the numbers, not of how many there are.
            groups.sort_by(|a, b| a.name.cmp(&b.name));
            groups.iter_mut().zip(PALETTE).for_each(|(group, colour)| group.colour = colour);
        }
        let places: HashMap<String, usize> =
            groups.iter().enumerate().map(|(at, g)| (g.name.clone(), at)).collect();
        let others: usize = counts[own..].iter().map(|(_, count)| count).sum();
        let missing = values.iter().filter(|value| value.is_none()).count();
        for (name, count, colour) in [("other", others, GREY), ("none", missing, PALE)] {
            groups.push(Group { name: name.to_owned(), count, colour });
        }
        let of = values.iter().map(|value| match value {
            Some(value) => places.get(value).copied().unwrap_or(own),
            None => own + 1,
        });
        Ok(Self { attribute: Some(attribute.to_owned()), of: of.collect(), groups })
    }
}

/// The part each number lies in, named so that the names sort as the numbers do.
fn parts(values: &[Option<f32>]) -> Vec<Option<String>> {
    let mut sorted: Vec<f32> = values.iter().copied().flatten().collect();
    sorted.sort_by(f32::total_cmp);
    let mut cuts: Vec<f32> =
        (1..PARTS).filter_map(|part| sorted.get(part * sorted.len() / PARTS).copied()).collect();
    cuts.dedup();
    let name = |value: f32| {
        let part = cuts.partition_point(|&cut| cut <= value);
        let from =
            part.checked_sub(1).map(|below| format!("{} ≤ ", cuts[below])).unwrap_or_default();
        let to = cuts.get(part).map(|above| format!(" < {above}")).unwrap_or_default();
        format!("{}: {from}x{to}", part + 1)
    };
    values.iter().map(|value| value.map(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, features::testing};

    #[test]
    fn groups_are_the_frequent_values_others_and_none() {
        let shop = testing::shop(1, 60, 5, 9, TimeUnit::Day);
        let rows: Vec<Option<usize>> = (0..60).map(|row| (row != 3).then_some(row)).collect();
        let by = |attribute: &str| Colouring::by(attribute, &shop.articles, &rows);
        for attribute in ["group", "tags", "price"] {
            let colouring = by(attribute).unwrap();
            assert_eq!(
                colouring.groups.iter().map(|group| group.count).sum::<usize>(),
                60,
                "{attribute}"
            );
            for (at, group) in colouring.groups.iter().enumerate() {
                assert_eq!(
                    colouring.of.iter().filter(|&&of| of == at).count(),
                    group.count,
                    "{}",
                    group.name
                );
            }
            assert_eq!(colouring.groups[colouring.of[3]].name, "none");
        }
        let price = by("price").unwrap();
        assert_eq!(price.groups.len(), PARTS + 2);
        assert!(price.groups[0].name.starts_with("1: x < "), "{}", price.groups[0].name);
        let error = by("colour").unwrap_err();
        assert!(
            error.is_bad_input() && error.to_string().contains("they have group, price, tags"),
            "{error}"
        );
    }
}
