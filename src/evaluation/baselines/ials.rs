use super::{Known, interactions::Interactions, tuning::Tunable};
use crate::{
    algebra::matrix::{View, multiply},
    bundle::RowKind,
    dataset::Case,
    evaluation::{EvaluationError, Scorer},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;

const FACTORS: usize = 32;

type Factors = [f32; FACTORS];
type Square = [Factors; FACTORS];

/// Implicit alternating least squares (Hu et al. 2008), in the parameters of Rendle et al. 2022
/// (arXiv:2110.14037): the factors minimise Σ (x·(1 − u·v)²) over purchases + `unobserved` · Σ
/// (u·v)² over all pairs + a penalty of `lambda · (purchases + unobserved · pairs)` for each
/// customer and article. Customers of a case are solved for anew from what the case knows.
pub struct Ials<'a> {
    known: Known<'a>,
    settings: Settings,
    /// One an article.
    articles: Vec<Factors>,
    gram: Square,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settings {
    /// The weight of a pair without a purchase.
    unobserved: f32,
    lambda: f32,
}

impl<'a> Ials<'a> {
    pub const NAME: &'static str = "ials";

    const ROUNDS: usize = 8;
    const SEED: u64 = 1;

    /// Settings are chosen on a part of the customers where they bought more than this.
    const TUNED_CELLS: usize = 500_000;

    fn of(known: Known<'a>, settings: Settings, bought: &Interactions) -> Self {
        let buyers = bought.transposed(known.articles());
        let mut rng = ChaCha8Rng::seed_from_u64(Self::SEED);
        let start = Normal::new(0.0, 0.1 / (FACTORS as f32).sqrt()).expect("a deviation above 0");
        let mut articles: Vec<Factors> = (0..known.articles())
            .map(|_| std::array::from_fn(|_| start.sample(&mut rng)))
            .collect();
        for _ in 0..Self::ROUNDS {
            let customers = settings.solve_all(bought, &articles);
            articles = settings.solve_all(&buyers, &customers);
        }
        let gram = gram(&articles);
        Self { known, settings, articles, gram }
    }
}

impl Settings {
    /// The factors of every row of `cells`, given those of its columns.
    fn solve_all(self, cells: &Interactions, others: &[Factors]) -> Vec<Factors> {
        let gram = gram(others);
        let rows = (0..cells.rows()).into_par_iter();
        rows.map(|row| self.solve(cells.row(row), others, &gram)).collect()
    }

    /// Σ x v vᵀ + unobserved · gram + penalty, solved for Σ x v.
    fn solve(
        self,
        row: impl ExactSizeIterator<Item = (u32, f32)>,
        others: &[Factors],
        gram: &Square,
    ) -> Factors {
        let count = row.len();
        if count == 0 {
            return [0.0; FACTORS];
        }
        let penalty = self.lambda * (count as f32 + self.unobserved * others.len() as f32);
        let mut left = *gram;
        for (at, values) in left.iter_mut().enumerate() {
            values.iter_mut().for_each(|value| *value *= self.unobserved);
            values[at] += penalty;
        }
        let mut right = [0.0; FACTORS];
        for (other, value) in row {
            let factors = &others[other as usize];
            for (values, &factor) in left.iter_mut().zip(factors) {
                let scaled = value * factor;
                values.iter_mut().zip(factors).for_each(|(sum, &other)| *sum += scaled * other);
            }
            right.iter_mut().zip(factors).for_each(|(sum, &factor)| *sum += value * factor);
        }
        solve_positive(&mut left, right)
    }
}

/// Σ v vᵀ.
fn gram(factors: &[Factors]) -> Square {
    let mut gram = [[0.0; FACTORS]; FACTORS];
    let all = View::new(factors.as_flattened(), factors.len(), FACTORS);
    multiply(gram.as_flattened_mut(), FACTORS, false, 1.0, all.transposed(), all);
    gram
}

/// x of A·x = b for a symmetric positive definite A, by Cholesky; the lower triangle of `a` becomes
/// its factor.
fn solve_positive(a: &mut Square, mut b: Factors) -> Factors {
    for column in 0..FACTORS {
        for row in column..FACTORS {
            let dot: f32 =
                a[row][..column].iter().zip(&a[column][..column]).map(|(a, b)| a * b).sum();
            let value = a[row][column] - dot;
            a[row][column] =
                if row == column { value.max(1e-12).sqrt() } else { value / a[column][column] };
        }
    }
    for row in 0..FACTORS {
        let dot: f32 = a[row][..row].iter().zip(&b[..row]).map(|(a, b)| a * b).sum();
        b[row] = (b[row] - dot) / a[row][row];
    }
    for row in (0..FACTORS).rev() {
        let dot: f32 = (row + 1..FACTORS).map(|below| a[below][row] * b[below]).sum();
        b[row] = (b[row] - dot) / a[row][row];
    }
    b
}

impl Scorer for Ials<'_> {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn settings(&self) -> String {
        let Settings { unobserved, lambda } = self.settings;
        format!("factors {FACTORS}, unobserved {unobserved}, λ {lambda}")
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        let customer = |case: &Case| {
            let latest = self.known.latest_articles(case);
            self.settings.solve(
                latest.into_iter().map(|article| (article, 1.0)),
                &self.articles,
                &self.gram,
            )
        };
        let customers: Vec<Factors> = cases.iter().map(customer).collect();
        let left = View::new(customers.as_flattened(), customers.len(), FACTORS);
        let right =
            View::new(self.articles.as_flattened(), self.articles.len(), FACTORS).transposed();
        multiply(scores, self.articles.len(), false, 1.0, left, right);
        Ok(())
    }
}

impl<'a> Tunable<'a> for Ials<'a> {
    type Settings = Settings;
    const USUAL: Settings = Settings { unobserved: 0.1, lambda: 0.003 };

    fn candidates(known: Known<'a>) -> impl Iterator<Item = Self> {
        let parts = (known.train.len() / Self::TUNED_CELLS + 1) as u32;
        let customer = move |row: &u32| known.dataset.purchases.customer[*row as usize];
        let part =
            known.train.iter().copied().filter(move |row| customer(row).is_multiple_of(parts));
        let bought = Interactions::of_rows(known, part);
        let grid = [0.1, 0.3, 1.0].into_iter().flat_map(|unobserved| {
            [0.003, 0.001, 0.01].map(|lambda| Settings { unobserved, lambda })
        });
        grid.map(move |settings| Self::of(known, settings, &bought))
    }

    fn chosen(&self) -> Settings {
        self.settings
    }

    fn fit(known: Known<'a>, settings: Settings) -> Self {
        Self::of(known, settings, &Interactions::of(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let normal = Normal::new(0.0f32, 1.0).unwrap();
        let random: Vec<Factors> =
            (0..50).map(|_| std::array::from_fn(|_| normal.sample(&mut rng))).collect();
        let left = gram(&random);
        let x = solve_positive(&mut left.clone(), random[0]);
        for (row, &expected) in left.iter().zip(&random[0]) {
            let value: f32 = row.iter().zip(&x).map(|(a, b)| a * b).sum();
            assert!((value - expected).abs() < 1e-2, "{value} is not {expected}");
        }
    }
}
