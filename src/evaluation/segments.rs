//! Parts of a test: customers by how much they bought, articles by whether they are new.

use super::baselines::Known;
use crate::dataset::Case;

/// Cases that have something in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub name: String,
    pub cases: Vec<Case>,
}

/// Customers by the purchases known of them; the last has no upper end.
const CUSTOMERS: [(&str, u32); 4] = [
    ("customers without purchases", 1),
    ("customers with 1 to 9", 10),
    ("customers with 10 to 99", 100),
    ("customers with 100 and more", u32::MAX),
];

/// The parts of a test that have a case. Those of articles ask only for the articles they name.
pub fn segments(known: Known<'_>, cases: &[Case]) -> Vec<Segment> {
    let mut all = Vec::new();
    let mut from = 0;
    for (name, until) in CUSTOMERS {
        let of_customers = cases.iter().filter(|case| (from..until).contains(&case.known));
        all.push(Segment { name: name.to_owned(), cases: of_customers.cloned().collect() });
        from = until;
    }
    let mut sold = vec![false; known.dataset.articles.len()];
    for &row in known.train {
        sold[known.dataset.purchases.article[row as usize] as usize] = true;
    }
    for (name, wanted) in [("articles that sold before", true), ("new articles", false)] {
        let only = |case: &Case| {
            let relevant = case.relevant.iter().copied().filter(|&article| sold[article as usize] == wanted);
            let relevant: Vec<u32> = relevant.collect();
            (!relevant.is_empty()).then(|| Case { relevant, ..case.clone() })
        };
        all.push(Segment { name: name.to_owned(), cases: cases.iter().filter_map(only).collect() });
    }
    all.retain(|segment| !segment.cases.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::{Histories, TimeUnit},
        domain::Timestamp,
        features::testing,
    };

    #[test]
    fn every_case_is_in_one_segment_of_customers_and_every_article_in_one_of_articles() {
        let mut dataset = testing::shop(0, 5, 3, 0, TimeUnit::Day);
        dataset.purchases.customer = vec![0, 1];
        dataset.purchases.article = vec![1, 2];
        dataset.purchases.time = vec![Timestamp(0), Timestamp(1)];
        let histories = Histories::of(&dataset);
        let known = Known { dataset: &dataset, histories: &histories, train: &[0, 1] };
        let case =
            |customer, known, relevant: &[u32]| Case { customer, at: Timestamp(9), known, relevant: relevant.to_vec() };
        let cases = [case(0, 0, &[1, 3]), case(1, 9, &[2]), case(2, 100, &[4])];
        let found = segments(known, &cases);
        let told: Vec<(&str, usize)> = found.iter().map(|s| (s.name.as_str(), s.cases.len())).collect();
        assert_eq!(
            told,
            [
                ("customers without purchases", 1),
                ("customers with 1 to 9", 1),
                ("customers with 100 and more", 1),
                ("articles that sold before", 2),
                ("new articles", 2),
            ]
        );
        assert_eq!((&found[3].cases[0].relevant, &found[4].cases[0].relevant), (&vec![1], &vec![3]));
    }
}
