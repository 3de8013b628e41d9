//! Columns as a Parquet file.

use crate::{
    dataset::{Dataset, Entities, MISSING, NO_INTEGER, Purchases, TimeUnit, Values},
    domain::IdTable,
};
pub use parquet::errors::ParquetError;
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};
use std::{fs::File, ops::Range, path::Path, sync::Arc};

/// Rows a row group: what is held encoded at a time.
const GROUP: usize = 1 << 20;

type Group<'a> = SerializedRowGroupWriter<'a, File>;

/// A table of named columns.
pub(super) struct Table<'a> {
    rows: usize,
    columns: Vec<(String, Cells<'a>)>,
}

/// Where the cells of a column come from.
enum Cells<'a> {
    /// The texts of these ids, one after the other.
    Ids(Vec<ByteArray>),
    /// The ids of these rows.
    References(Vec<ByteArray>, &'a [u32]),
    Values(&'a Values, Vec<ByteArray>),
    Days(&'a Purchases),
    Seconds(&'a Purchases),
    Millis(&'a Purchases),
    Floats(&'a [f32]),
    Bytes(&'a [u8]),
}

fn texts(ids: &IdTable) -> Vec<ByteArray> {
    ids.iter().map(ByteArray::from).collect()
}

impl<'a> Table<'a> {
    /// The ids under a name that no attribute has, and the attributes.
    pub(super) fn of_entities(entities: &'a Entities) -> Self {
        let mut id = "id".to_owned();
        while entities.column(&id).is_some() {
            id.push('_');
        }
        let mut columns = vec![(id, Cells::Ids(texts(&entities.ids)))];
        columns.extend(entities.columns.iter().map(|column| {
            let dictionary = match &column.values {
                Values::Category { dictionary, .. } | Values::Tags { dictionary, .. } => {
                    texts(dictionary)
                }
                Values::Number(_) | Values::Integer(_) => Vec::new(),
            };
            (column.name.clone(), Cells::Values(&column.values, dictionary))
        }));
        Self { rows: entities.len(), columns }
    }

    /// Without columns that the shop does not have, and without times where only the order is
    /// known.
    pub(super) fn of_purchases(dataset: &'a Dataset) -> Self {
        let purchases = &dataset.purchases;
        let mut columns = vec![
            (
                "customer".to_owned(),
                Cells::References(texts(&dataset.customers.ids), &purchases.customer),
            ),
            (
                "article".to_owned(),
                Cells::References(texts(&dataset.articles.ids), &purchases.article),
            ),
        ];
        let mut add = |name: &str, cells: Cells<'a>| columns.push((name.to_owned(), cells));
        match dataset.time_unit {
            TimeUnit::Day => add("time", Cells::Days(purchases)),
            TimeUnit::Second if purchases.millis.is_empty() => {
                add("time", Cells::Seconds(purchases))
            }
            TimeUnit::Second => add("time", Cells::Millis(purchases)),
            TimeUnit::Position => {}
        }
        if !purchases.price.is_empty() {
            add("price", Cells::Floats(&purchases.price));
        }
        if !purchases.channel.is_empty() {
            add("channel", Cells::Bytes(&purchases.channel));
        }
        if !purchases.weight.is_empty() {
            add("weight", Cells::Floats(&purchases.weight));
        }
        Self { rows: purchases.len(), columns }
    }

    /// The name of the column of ids.
    pub(super) fn id(&self) -> &str {
        &self.columns[0].0
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), ParquetError> {
        let fields = self.columns.iter().map(|(name, cells)| cells.field(name).map(Arc::new));
        let schema = Type::group_type_builder("row")
            .with_fields(fields.collect::<Result<_, _>>()?)
            .build()?;
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let file = File::create(path).map_err(|error| ParquetError::External(Box::new(error)))?;
        let synced = file.try_clone().map_err(|error| ParquetError::External(Box::new(error)))?;
        let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        for start in (0..self.rows).step_by(GROUP) {
            let mut group = writer.next_row_group()?;
            for (_, cells) in &self.columns {
                cells.write(start..self.rows.min(start + GROUP), &mut group)?;
            }
            group.close()?;
        }
        writer.close()?;
        synced.sync_all().map_err(|error| ParquetError::External(Box::new(error)))
    }
}

impl Cells<'_> {
    fn field(&self, name: &str) -> Result<Type, ParquetError> {
        let plain = |physical, repetition| {
            Type::primitive_type_builder(name, physical).with_repetition(repetition)
        };
        match self {
            Self::Ids(_) | Self::References(..) => text(name, Repetition::REQUIRED),
            Self::Values(Values::Number(_), _) | Self::Floats(_) => {
                plain(Physical::FLOAT, Repetition::OPTIONAL).build()
            }
            Self::Values(Values::Integer(_), _) => {
                plain(Physical::INT64, Repetition::OPTIONAL).build()
            }
            Self::Values(Values::Category { .. }, _) => text(name, Repetition::OPTIONAL),
            Self::Values(Values::Tags { .. }, _) => list(name),
            Self::Days(_) => plain(Physical::INT32, Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::Date))
                .build(),
            Self::Seconds(_) | Self::Millis(_) => {
                plain(Physical::INT64, Repetition::REQUIRED).build()
            }
            Self::Bytes(_) => plain(Physical::INT32, Repetition::OPTIONAL).build(),
        }
    }

    fn write(&self, rows: Range<usize>, group: &mut Group<'_>) -> Result<(), ParquetError> {
        match self {
            Self::Ids(ids) => column::<ByteArrayType>(group, &ids[rows], None),
            Self::References(ids, references) => {
                let cells: Vec<ByteArray> =
                    references[rows].iter().map(|&row| ids[row as usize].clone()).collect();
                column::<ByteArrayType>(group, &cells, None)
            }
            Self::Values(Values::Number(numbers), _) => floats(group, &numbers[rows]),
            Self::Values(Values::Integer(numbers), _) => {
                optional::<Int64Type, _>(group, &numbers[rows], |&number| {
                    (number != NO_INTEGER).then_some(number)
                })
            }
            Self::Values(Values::Category { codes, .. }, dictionary) => {
                let text =
                    |&code: &u32| (code != MISSING).then(|| dictionary[code as usize].clone());
                optional::<ByteArrayType, _>(group, &codes[rows], text)
            }
            Self::Values(Values::Tags { offsets, codes, .. }, dictionary) => {
                lists(group, &offsets[rows.start..=rows.end], codes, dictionary)
            }
            Self::Days(purchases) => {
                let days: Vec<i32> =
                    purchases.time[rows].iter().map(|time| time.day() as i32).collect();
                column::<Int32Type>(group, &days, None)
            }
            Self::Seconds(purchases) => {
                let seconds: Vec<i64> =
                    purchases.time[rows].iter().map(|time| i64::from(time.0)).collect();
                column::<Int64Type>(group, &seconds, None)
            }
            Self::Millis(purchases) => {
                let moment = |row: usize| {
                    let (time, millis) = purchases.moment_of(row as u32);
                    i64::from(time.0) * 1_000 + i64::from(millis)
                };
                column::<Int64Type>(group, &rows.map(moment).collect::<Vec<_>>(), None)
            }
            Self::Floats(numbers) => floats(group, &numbers[rows]),
            Self::Bytes(bytes) => optional::<Int32Type, _>(group, &bytes[rows], |&byte| {
                (byte != 0).then_some(i32::from(byte))
            }),
        }
    }
}

fn text(name: &str, repetition: Repetition) -> Result<Type, ParquetError> {
    let builder =
        Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_repetition(repetition);
    builder
        .with_logical_type(Some(LogicalType::String))
        .with_converted_type(ConvertedType::UTF8)
        .build()
}

/// A list of texts in three levels, as the format wants it.
fn list(name: &str) -> Result<Type, ParquetError> {
    let element = Arc::new(text("element", Repetition::REQUIRED)?);
    let repeated = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![element]);
    Type::group_type_builder(name)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::List))
        .with_converted_type(ConvertedType::LIST)
        .with_fields(vec![Arc::new(repeated.build()?)])
        .build()
}

fn floats(group: &mut Group<'_>, numbers: &[f32]) -> Result<(), ParquetError> {
    optional::<FloatType, _>(group, numbers, |&number| (!number.is_nan()).then_some(number))
}

/// Writes the next column, in which cells may be missing.
fn optional<T: DataType, C>(
    group: &mut Group<'_>,
    cells: &[C],
    value: impl Fn(&C) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let mut values = Vec::with_capacity(cells.len());
    let mut levels = Vec::with_capacity(cells.len());
    for cell in cells {
        let value = value(cell);
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    column::<T>(group, &values, Some((&levels, None)))
}

/// Writes the next column: the lists between these offsets.
fn lists(
    group: &mut Group<'_>,
    offsets: &[u32],
    codes: &[u32],
    dictionary: &[ByteArray],
) -> Result<(), ParquetError> {
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for pair in offsets.windows(2) {
        let codes = &codes[pair[0] as usize..pair[1] as usize];
        if codes.is_empty() {
            defined.push(0);
            repeated.push(0);
        }
        for (place, &code) in codes.iter().enumerate() {
            values.push(dictionary[code as usize].clone());
            defined.push(1);
            repeated.push(i16::from(place > 0));
        }
    }
    column::<ByteArrayType>(group, &values, Some((&defined, Some(&repeated))))
}

/// Writes the next column: its values, and its definition and repetition levels.
fn column<T: DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    levels: Option<(&[i16], Option<&[i16]>)>,
) -> Result<(), ParquetError> {
    let (defined, repeated) =
        levels.map_or((None, None), |(defined, repeated)| (Some(defined), repeated));
    let mut column = group
        .next_column()?
        .ok_or_else(|| ParquetError::General("the schema has too few columns".to_owned()))?;
    column.typed::<T>().write_batch(values, defined, repeated)?;
    column.close()
}
