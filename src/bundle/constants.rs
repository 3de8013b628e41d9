//! The tables and weights in the graphs of a bundle, read back by name: what a new training starts
//! from.

use super::{Bundle, BundleError, file_names};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};
use tract_onnx::{
    pb::{TensorProto, tensor_proto::DataType},
    prelude::Framework,
};

/// The arrays of one graph.
#[derive(Debug, Default, Clone)]
pub struct Constants(BTreeMap<String, Constant>);

/// An array of floats.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    pub dims: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl Bundle {
    /// The arrays of the query tower and those of the item tower. The files are those that were
    /// checked when the bundle was opened.
    ///
    /// # Errors
    /// [`BundleError::Tower`] for a graph that cannot be read (again).
    pub fn constants(&self) -> Result<(Constants, Constants), BundleError> {
        let read = |name: &str| {
            let path = self.directory().join(name);
            Constants::read(&path)
                .map_err(|error| BundleError::Tower { path, reason: format!("{error:#}") })
        };
        Ok((read(file_names::QUERY_TOWER)?, read(file_names::ITEM_TOWER)?))
    }
}

impl Constants {
    fn read(path: &Path) -> Result<Self> {
        let proto = tract_onnx::onnx()
            .proto_model_for_path(path)
            .map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let graph = proto.graph.context("it holds no graph")?;
        let floats =
            graph.initializer.iter().filter(|tensor| tensor.data_type == DataType::Float as i32);
        let read = |tensor: &TensorProto| {
            let constant =
                constant(tensor, path).with_context(|| format!("constant `{}`", tensor.name))?;
            Ok((tensor.name.clone(), constant))
        };
        Ok(Self(floats.map(read).collect::<Result<_>>()?))
    }

    pub fn get(&self, name: &str) -> Option<&Constant> {
        self.0.get(name)
    }

    /// The table of a feature, wherever the feature stands in the tower.
    pub fn table(&self, feature: &str) -> Option<&Constant> {
        let feature: String =
            feature.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let is_its = |name: &str| {
            let place_and_name =
                name.strip_prefix("in_").and_then(|name| name.strip_suffix("_table"));
            let parts = place_and_name.and_then(|name| name.split_once('_'));
            parts.is_some_and(|(place, name)| {
                place.bytes().all(|b| b.is_ascii_digit()) && name == feature
            })
        };
        self.0.iter().find(|(name, _)| is_its(name)).map(|(_, constant)| constant)
    }
}

impl Constant {
    /// A row of a matrix; `None` where there is none.
    pub fn row(&self, row: usize) -> Option<&[f32]> {
        let [_, width] = self.dims[..] else { return None };
        self.values.get(row * width..(row + 1) * width)
    }
}

fn constant(tensor: &TensorProto, path: &Path) -> Result<Constant> {
    let dims =
        tensor.dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>()?;
    let bytes = match tensor.external_data.is_empty() {
        true => tensor.raw_data.to_vec(),
        false => outside(tensor, path)?,
    };
    let (values, rest) = bytes.as_chunks::<4>();
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    ensure!(
        rest.is_empty() && Some(values.len()) == count,
        "it has {} bytes for {dims:?}",
        bytes.len()
    );
    Ok(Constant { dims, values: values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect() })
}

/// The bytes of a tensor that lies beside the graph.
fn outside(tensor: &TensorProto, path: &Path) -> Result<Vec<u8>> {
    let entry = |key: &str| {
        tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    };
    let number = |key: &str| -> Result<u64> { Ok(entry(key).map_or(Ok(0), |text| text.parse())?) };
    let (offset, length) = (number("offset")?, number("length")?);
    let location = entry("location").context("it lies nowhere")?;
    let mut file = File::open(path.with_file_name(location))?;
    ensure!(
        offset.checked_add(length).is_some_and(|end| end <= file.metadata().map_or(0, |m| m.len())),
        "it is cut off"
    );
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(usize::try_from(length)?);
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
