//! Parquet files as other programs write them: types, nesting, codecs, row groups.

use super::files::table_files;
use super::*;
use parquet::{
    basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
    data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray,
        FixedLenByteArrayType, FloatType, Int32Type, Int64Type, Int96, Int96Type,
    },
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use std::{fs::File, sync::Arc};

type Group<'a> = SerializedRowGroupWriter<'a, File>;

/// Writes a file of `groups` row groups, each filled by `fill`.
fn write(
    path: &Path,
    schema: &str,
    codec: Compression,
    groups: usize,
    mut fill: impl FnMut(&mut Group, usize),
) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().set_compression(codec).build();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    for i in 0..groups {
        let mut group = writer.next_row_group().unwrap();
        fill(&mut group, i);
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Writes the next column: its values, definition levels and repetition levels.
fn column<T: DataType>(
    group: &mut Group,
    values: &[T::T],
    levels: Option<&[i16]>,
    repeated: Option<&[i16]>,
) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, levels, repeated).unwrap();
    column.close().unwrap();
}

fn texts(values: &[&str]) -> Vec<ByteArray> {
    values.iter().map(|value| ByteArray::from(*value)).collect()
}

#[test]
fn every_type_becomes_text() {
    let schema = "message m {
        required int64 id (DECIMAL(18,0)); required int32 price (DECIMAL(9,2));
        required fixed_len_byte_array(5) cost (DECIMAL(11,3)); required int64 ms (TIMESTAMP(MILLIS,true));
        required int64 us (TIMESTAMP(MICROS,false)); required int64 ns (TIMESTAMP(NANOS,true));
        required int96 spark; required int32 day (DATE); required int32 clock (TIME(MILLIS,true));
        required int64 big (INTEGER(64,false)); required int32 small (INTEGER(16,true)); required boolean new;
        required float share; required double whole; required fixed_len_byte_array(16) uuid (UUID);
        required binary name (UTF8); }";
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.PARQUET");
    write(&path, schema, Compression::UNCOMPRESSED, 1, |group, _| {
        let fixed = |bytes: &[u8]| vec![FixedLenByteArray::from(bytes.to_vec())];
        let mut spark = Int96::new();
        spark.set_data(0, 0, 2_440_589);
        column::<Int64Type>(group, &[100], None, None);
        column::<Int32Type>(group, &[-1250], None, None);
        column::<FixedLenByteArrayType>(group, &fixed(&[0, 0, 0, 0x04, 0xd2]), None, None);
        column::<Int64Type>(group, &[1_706_950_800_000], None, None);
        column::<Int64Type>(group, &[1_706_950_800_123_000], None, None);
        column::<Int64Type>(group, &[1_706_950_800_000_000_001], None, None);
        column::<Int96Type>(group, &[spark], None, None);
        column::<Int32Type>(group, &[19_756], None, None);
        column::<Int32Type>(group, &[36_001_000], None, None);
        column::<Int64Type>(group, &[-1], None, None);
        column::<Int32Type>(group, &[-7], None, None);
        column::<BoolType>(group, &[true], None, None);
        column::<FloatType>(group, &[0.1], None, None);
        column::<DoubleType>(group, &[706_016_001.0], None, None);
        column::<FixedLenByteArrayType>(group, &fixed(&(0..16).collect::<Vec<u8>>()), None, None);
        column::<ByteArrayType>(group, &texts(&["a, \"b\"\n"]), None, None);
    });
    let table = read(&dir, "a.PARQUET", FileOptions::default()).unwrap();
    let expected = [
        "100",
        "-12.50",
        "1.234",
        "2024-02-03T09:00:00Z",
        "2024-02-03T09:00:00.123Z",
        "2024-02-03T09:00:00.000000001Z",
        "1970-01-02T00:00:00Z",
        "2024-02-03",
        "10:00:01",
        "18446744073709551615",
        "-7",
        "true",
        "0.1",
        "706016001",
        "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "a, \"b\"\n",
    ];
    assert_eq!(table.rows, [expected]);
}

#[test]
fn groups_and_lists_become_columns() {
    let schema = "message m { required binary id (UTF8);
        optional group details { optional binary brand (UTF8); optional int32 size; }
        optional group tags (LIST) { repeated group list { optional binary element (UTF8); } }
        optional group lines (LIST) { repeated group list { required group element { required int32 sku; } } }
        repeated int32 old; }";
    let dir = TempDir::new().unwrap();
    write(&dir.path().join("a.parquet"), schema, Compression::SNAPPY, 1, |group, _| {
        column::<ByteArrayType>(group, &texts(&["a", "b", "c"]), None, None);
        column::<ByteArrayType>(group, &texts(&["x"]), Some(&[2, 1, 0]), None);
        column::<Int32Type>(group, &[1, 2], Some(&[2, 2, 0]), None);
        column::<ByteArrayType>(
            group,
            &texts(&["p", "q"]),
            Some(&[3, 2, 3, 1, 0]),
            Some(&[0, 1, 1, 0, 0]),
        );
        column::<Int32Type>(group, &[7, 8], Some(&[1, 2, 2]), Some(&[0, 0, 0]));
        column::<Int32Type>(group, &[5, 6], Some(&[0, 1, 1, 0]), Some(&[0, 0, 1, 0]));
    });
    let file = TableFile::new(dir.path().join("a.parquet"), FileOptions::default());
    assert_eq!(file.open(1).unwrap().layout().lists, [3, 4, 5]);
    let end = "\u{1f}";
    for block in [1, 100] {
        let table = read_in_blocks(&dir, "a.parquet", FileOptions::default(), block).unwrap();
        assert_eq!(
            table.columns,
            ["id", "details.brand", "details.size", "tags", "lines.sku", "old"]
        );
        assert_eq!(
            table.rows,
            [
                // The element without a value keeps its place.
                ["a", "x", "1", &format!("p{end}{end}q{end}"), "", ""],
                ["b", "", "2", "", &format!("7{end}"), &format!("5{end}6{end}")],
                ["c", "", "", "", &format!("8{end}"), ""],
            ]
        );
    }
}

const SHORT: &str = "message m { required int64 id; optional binary name (UTF8); }";

/// Rows `10 · group + i`, every third without a name.
fn fill_short(group: &mut Group, number: usize) {
    let ids: Vec<i64> = (0..10).map(|i| (10 * number + i) as i64).collect();
    let named: Vec<i16> = ids.iter().map(|id| i16::from(id % 3 != 0)).collect();
    let names: Vec<String> =
        ids.iter().filter(|id| *id % 3 != 0).map(|id| format!("n{}", id % 4)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    column::<Int64Type>(group, &ids, None, None);
    column::<ByteArrayType>(group, &texts(&names), Some(&named), None);
}

fn expected_short(groups: usize) -> Vec<Vec<String>> {
    let name =
        |id: usize| if id.is_multiple_of(3) { String::new() } else { format!("n{}", id % 4) };
    (0..10 * groups).map(|id| vec![id.to_string(), name(id)]).collect()
}

#[test]
fn every_codec_is_read_and_archives_of_parquet_too() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.parquet");
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        write(&path, SHORT, codec, 2, fill_short);
        let table = read(&dir, "a.parquet", FileOptions::default())
            .unwrap_or_else(|error| panic!("{codec}: {error}"));
        assert_eq!(table.rows, expected_short(2), "{codec}");
    }
    let bytes = std::fs::read(&path).unwrap();
    for (name, packed) in [("b.parquet.gz", gzip(&bytes)), ("b.zip", zip(&[("b.parquet", &bytes)]))]
    {
        std::fs::write(dir.path().join(name), packed).unwrap();
        assert_eq!(
            read(&dir, name, FileOptions::default()).unwrap().rows,
            expected_short(2),
            "{name}"
        );
    }
    // What a file is, its content tells.
    std::fs::copy(&path, dir.path().join("c.csv")).unwrap();
    assert_eq!(read(&dir, "c.csv", FileOptions::default()).unwrap().rows, expected_short(2));
}

#[test]
fn blocks_and_row_groups_change_nothing() {
    let dir = TempDir::new().unwrap();
    write(&dir.path().join("a.parquet"), SHORT, Compression::SNAPPY, 7, fill_short);
    for block in [1, 20, 1 << 20] {
        let table = read_in_blocks(&dir, "a.parquet", FileOptions::default(), block).unwrap();
        assert_eq!(table.rows, expected_short(7), "{block}");
    }
}

#[test]
fn ids_that_are_floats_must_be_exact() {
    let dir = TempDir::new().unwrap();
    let ids = [706_016_001.0, 9_007_199_254_740_992.0, 9_007_199_254_740_994.0, 1e300];
    let schema = "message m { required double id; }";
    write(&dir.path().join("a.parquet"), schema, Compression::SNAPPY, 1, |group, _| {
        column::<DoubleType>(group, &ids, None, None);
    });
    let table = read(&dir, "a.parquet", FileOptions::default()).unwrap();
    assert_eq!(table.rows, [["706016001"], ["9007199254740992"]]);
    assert_eq!(table.rejects.len(), 2);
    let says = "row 3, column `id`: the id `9007199254740994` is a floating-point number too large to be exact";
    assert!(table.rejects[0].contains(says), "{table:?}");
}

#[test]
fn folders_of_partitions_are_one_table() {
    let dir = TempDir::new().unwrap();
    for (i, folder) in
        ["year=2023/day=a%3Ab", "year=2024/day=__HIVE_DEFAULT_PARTITION__"].iter().enumerate()
    {
        let folder = dir.path().join("orders").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("_SUCCESS"), "").unwrap();
        write(&folder.join("part-0.parquet"), SHORT, Compression::SNAPPY, 1, |group, _| {
            fill_short(group, i)
        });
    }
    let files =
        table_files(dir.path(), &["orders".into()], &FileOptions::default(), "test").unwrap();
    assert_eq!(files.len(), 2);
    let mut days = Vec::new();
    for file in &files {
        let source = file.open(1 << 20).unwrap();
        let layout = source.layout().clone();
        assert_eq!(layout.columns, ["id", "name", "year", "day"]);
        let (year, day) = (layout.column("year").unwrap(), layout.column("day").unwrap());
        for block in block::read_ahead(source) {
            block.unwrap().for_each_row(&mut Vec::new(), |row| {
                days.push((row.text(year)?.to_owned(), row.text(day)?.to_owned()));
                Ok(())
            });
        }
    }
    days.dedup();
    let expected =
        [("2023", "a:b"), ("2024", "")].map(|(year, day)| (year.to_owned(), day.to_owned()));
    assert_eq!(days, expected);
}

#[test]
fn a_row_group_that_ends_early_is_damage() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, SHORT, Compression::UNCOMPRESSED, 1, fill_short);
    let whole = std::fs::read(&path).unwrap();
    for cut in [whole.len() / 2, whole.len() - 1, 8] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let message = read(&dir, "a.parquet", FileOptions::default()).unwrap_err();
        assert!(message.contains("a.parquet: the file is damaged"), "{message}");
    }
}
