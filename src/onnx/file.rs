//! A graph as bytes: the protobuf file and its external data.

use super::{
    OnnxError,
    graph::{Columns, Constant, Data, Graph, INDICES, NUMBERS, OUTPUT},
};
use prost::Message;
use std::{
    fs::File,
    io::{BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use tract_onnx::pb::{
    self,
    tensor_proto::{DataLocation, DataType},
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// IR 8 and operator set 17 came with the same ONNX release, 1.12.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// External tensors start on a page, so that a reader can map each alone.
const PAGE: u64 = 4096;

pub(super) fn write(
    graph: &Graph<'_>,
    path: &Path,
    external_above: usize,
) -> Result<Vec<PathBuf>, OnnxError> {
    let data_path = data_path(path);
    let external = write_external(graph, &data_path, external_above)
        .map_err(|source| OnnxError::Io { path: data_path.clone(), source })?;
    let bytes = model(graph, &external).encode_to_vec();
    let io = |source| OnnxError::Io { path: path.to_owned(), source };
    if bytes.len() > i32::MAX as usize {
        return Err(io(std::io::Error::other(
            "a protobuf file holds at most 2 GiB; keep more tables outside",
        )));
    }
    let mut file = File::create(path).map_err(io)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
    let mut written = vec![path.to_owned()];
    written.extend(external.file.is_some().then_some(data_path));
    Ok(written)
}

/// `<path>.data`
fn data_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".data");
    name.into()
}

/// Where the large constants lie; `ranges` runs parallel to the graph's constants.
struct External {
    file: Option<String>,
    ranges: Vec<Option<(u64, u64)>>,
}

fn write_external(graph: &Graph<'_>, path: &Path, above: usize) -> std::io::Result<External> {
    let mut ranges = vec![None; graph.constants.len()];
    let large = |constant: &Constant<'_>| matches!(&constant.data, Data::F32(values) if size_of_val(&**values) > above);
    if !graph.constants.iter().any(large) {
        return Ok(External { file: None, ranges });
    }
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut end = 0u64;
    for (constant, range) in graph.constants.iter().zip(&mut ranges) {
        let Data::F32(values) = &constant.data else { continue };
        if large(constant) {
            let start = end.next_multiple_of(PAGE);
            out.seek(SeekFrom::Start(start))?;
            write_f32(&mut out, values)?;
            end = start + size_of_val(&**values) as u64;
            *range = Some((start, end - start));
        }
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "the name of an ONNX file must be valid UTF-8",
        )
    })?;
    Ok(External { file: Some(name.to_owned()), ranges })
}

/// ONNX stores numbers in little-endian order.
fn write_f32(out: &mut impl Write, values: &[f32]) -> std::io::Result<()> {
    if cfg!(target_endian = "little") {
        return out.write_all(bytemuck::cast_slice(values));
    }
    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
}

fn model(graph: &Graph<'_>, external: &External) -> pb::ModelProto {
    let initializer = graph.constants.iter().zip(&external.ranges).map(|(constant, &range)| {
        let outside = range.zip(external.file.as_deref());
        tensor(constant, outside)
    });
    let graph = pb::GraphProto {
        node: graph.nodes.clone(),
        name: graph.name.to_owned(),
        doc_string: graph.doc.clone(),
        initializer: initializer.collect(),
        input: [
            (INDICES, DataType::Int64, graph.indices),
            (NUMBERS, DataType::Float, graph.numbers.map(Columns::Fixed)),
        ]
        .into_iter()
        .filter_map(|(name, datum, columns)| Some(value(name, datum, columns?)))
        .collect(),
        output: vec![value(OUTPUT, DataType::Float, Columns::Fixed(graph.dim))],
        ..Default::default()
    };
    pb::ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: "vitrine".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: graph.doc_string.clone(),
        graph: Some(graph),
        ..Default::default()
    }
}

fn tensor(constant: &Constant<'_>, outside: Option<((u64, u64), &str)>) -> pb::TensorProto {
    let mut tensor = pb::TensorProto {
        name: constant.name.clone(),
        dims: constant.dims.clone(),
        ..Default::default()
    };
    tensor.data_type = match &constant.data {
        Data::F32(_) => DataType::Float,
        Data::I64(_) => DataType::Int64,
    } as i32;
    match (&constant.data, outside) {
        (_, Some(((offset, length), file))) => {
            tensor.data_location = Some(DataLocation::External as i32);
            let entry = |key: &str, value: String| pb::StringStringEntryProto {
                key: key.to_owned(),
                value,
            };
            tensor.external_data = vec![
                entry("location", file.to_owned()),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ];
        }
        (Data::F32(values), None) => {
            tensor.raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
        (Data::I64(values), None) => {
            tensor.raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
    }
    tensor
}

/// A `[batch, columns]` input or output.
fn value(name: &str, datum: DataType, columns: Columns) -> pb::ValueInfoProto {
    let dim = |value| Dimension { denotation: String::new(), value: Some(value) };
    let columns = match columns {
        Columns::Fixed(columns) => dimension::Value::DimValue(columns as i64),
        Columns::Free => dimension::Value::DimParam("columns".to_owned()),
    };
    let shape = pb::TensorShapeProto {
        dim: vec![dim(dimension::Value::DimParam("batch".to_owned())), dim(columns)],
    };
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: datum as i32,
                shape: Some(shape),
            })),
        }),
        doc_string: String::new(),
    }
}
