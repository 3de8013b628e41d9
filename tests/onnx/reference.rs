//! The towers in plain Rust: what the graphs are tested against.

use vitrine::onnx::{Input, TowerGraph};

/// The output of `tower` for one row of inputs, straight from the definitions of [`TowerGraph`] and
/// [`Input`].
pub fn forward(tower: &TowerGraph<'_>, indices: &[i64], numbers: &[f32]) -> Vec<f32> {
    let mut x: Vec<f64> =
        tower.inputs.iter().flat_map(|input| columns(input, indices, numbers)).collect();
    for (i, layer) in tower.layers.iter().enumerate() {
        let mut y: Vec<f64> = layer.bias.iter().map(|&b| f64::from(b)).collect();
        for (&value, row) in x.iter().zip(layer.weight.chunks_exact(layer.outputs)) {
            y.iter_mut().zip(row).for_each(|(y, &w)| *y += value * f64::from(w));
        }
        if i + 1 < tower.layers.len() {
            y.iter_mut().for_each(|y| *y = y.max(0.0));
        }
        x = y;
    }
    if tower.normalize {
        let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
        x.iter_mut().for_each(|v| *v /= norm);
    }
    x.into_iter().map(|v| v as f32).collect()
}

fn columns(input: &Input<'_>, indices: &[i64], numbers: &[f32]) -> Vec<f64> {
    let row = |table: &[f32], dim: usize, index: i64| -> Vec<f64> {
        table[index as usize * dim..][..dim].iter().map(|&v| f64::from(v)).collect()
    };
    match *input {
        Input::Embedding { table, dim, at, .. } => row(table, dim, indices[at]),
        Input::OneHot { rows, at, .. } => {
            (0..rows).map(|r| f64::from(u8::from(r as i64 == indices[at]))).collect()
        }
        Input::Numbers { at, width } => {
            numbers[at..at + width].iter().map(|&v| f64::from(v)).collect()
        }
        Input::History { table, rows, dim, at, length, decay, .. } => {
            let (mut mean, mut sum) = (vec![0.0; dim], 0.0);
            for j in (0..length).filter(|j| indices[at + j] as usize != rows - 1) {
                let weight = f64::from(decay).powi(j as i32);
                sum += weight;
                mean.iter_mut()
                    .zip(row(table, dim, indices[at + j]))
                    .for_each(|(m, t)| *m += weight * t);
            }
            mean.iter_mut().for_each(|m| *m /= if sum > 0.0 { sum } else { 1.0 });
            mean
        }
    }
}
