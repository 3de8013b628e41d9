//! EASE, the embarrassingly shallow autoencoder (Steck 2019, arXiv:1905.03375): the linear model
//! that best rebuilds every customer's purchases from the others of the same customer.

use super::{
    Purchase,
    neighbours::{Groups, Neighbours, OF_CUSTOMER, best},
};
use crate::algebra::cholesky::{self, NotPositiveDefinite};
use rayon::prelude::*;

/// Articles that have weights: those that most customers bought. Time grows with the cube of this
/// number, memory with its square: the matrix has 16 MB, so that a small container has room for it.
const ARTICLES: usize = 2_000;
/// Weights of one article that are kept: the highest.
const KEPT: usize = 200;
/// Ridge penalty λ: larger values trust pairs that few customers bought less. Chosen on the
/// validation purchases of a small shop (ADR 67).
const LAMBDA: f32 = 50.0;

/// Puts the weights B in the place of `gram`, XᵀX (`n × n`, row-major): with P = (XᵀX + λI)⁻¹ it is
/// `B_ij = −P_ij / P_jj` and `B_jj = 0`. Article j scores the sum of `B_ij` over the articles i that
/// a customer bought.
///
/// # Errors
/// [`NotPositiveDefinite`], only when rounding ate λ; `gram` then holds nothing of use.
pub(crate) fn weights(gram: &mut [f32], n: usize, lambda: f32) -> Result<(), NotPositiveDefinite> {
    (0..n).for_each(|at| gram[at * n + at] += lambda);
    cholesky::invert(gram, n)?;
    let diagonal: Vec<f32> = (0..n).map(|at| gram[at * n + at]).collect();
    gram.par_chunks_mut(n.max(1)).enumerate().for_each(|(i, row)| {
        row.iter_mut().zip(&diagonal).for_each(|(value, diagonal)| *value /= -diagonal);
        row[i] = 0.0;
    });
    Ok(())
}

/// Of every article those with the highest weights. `purchases` are sorted by customer and article.
pub(super) fn by_customer(articles: usize, purchases: &[Purchase]) -> Neighbours {
    let customers = purchases.chunk_by(|a, b| a.customer == b.customer);
    let customers = Groups::of(customers, OF_CUSTOMER);
    let buyers = customers.transposed(articles);
    let counted = most_bought(articles, &buyers);
    let n = counted.len();
    let mut place = vec![usize::MAX; articles];
    counted.iter().enumerate().for_each(|(at, &article)| place[article as usize] = at);

    let mut matrix = common_customers(&counted, &place, &customers, &buyers);
    if weights(&mut matrix, n, LAMBDA).is_err() {
        return Neighbours::default();
    }
    let highest = |row: &[f32]| {
        let mut near: Vec<(u32, f32)> =
            counted.iter().copied().zip(row.iter().copied()).filter(|near| near.1 > 0.0).collect();
        best(&mut near, KEPT);
        near
    };
    let highest: Vec<Vec<(u32, f32)>> = matrix.par_chunks(n.max(1)).map(highest).collect();
    let mut all = Neighbours::empty();
    for at in place {
        all.push(highest.get(at).map_or(&[], Vec::as_slice));
    }
    all
}

/// XᵀX of the counted articles: how many customers bought both. `place` is that of each article
/// among them.
fn common_customers(
    counted: &[u32],
    place: &[usize],
    customers: &Groups,
    buyers: &Groups,
) -> Vec<f32> {
    let n = counted.len();
    let mut matrix = vec![0f32; n * n];
    matrix.par_chunks_mut(n.max(1)).zip(counted).for_each(|(row, &article)| {
        for &customer in buyers.get(article as usize) {
            for &other in customers.get(customer as usize) {
                if let Some(count) = row.get_mut(place[other as usize]) {
                    *count += 1.0;
                }
            }
        }
    });
    matrix
}

/// The articles that most customers bought, rising.
fn most_bought(articles: usize, buyers: &Groups) -> Vec<u32> {
    let count = |article: u32| buyers.get(article as usize).len();
    let mut counted: Vec<u32> =
        (0..articles as u32).filter(|&article| count(article) > 0).collect();
    counted.sort_by_key(|&article| std::cmp::Reverse(count(article)));
    counted.truncate(ARTICLES);
    counted.sort_unstable();
    counted
}
