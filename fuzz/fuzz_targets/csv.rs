//! Delimited text of any delimiter, encoding and quoting. The first byte chooses how the times are
//! read.

#![no_main]

use libfuzzer_sys::fuzz_target;

const TIMES: [&str; 5] = ["date", "date-time", "unix-millis", "%d.%m.%Y %H:%M", "day-number"];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let time = TIMES[usize::from(*first) % TIMES.len()];
    let extra = match first / 16 {
        0 => "",
        1 => "quantity = \"n\"\n",
        2 => "fill_down = { columns = [\"customer\"], within = \"time\" }\n",
        3 => "split = { column = \"article\", separator = \"|\", quantity = \" x \" }\n",
        4 => "where = { article = { not = \"C*\" } }\n",
        _ => "price = \"n\"\n",
    };
    let description = format!(
        "[purchases]\nfiles = [\"purchases.csv\"]\narticle = \"article\"\ncustomer = \"customer\"\ntime = \"time\"\n\
         time_format = \"{time}\"\n{extra}"
    );
    vitrine_fuzz::load("purchases.csv", &description, rest);
});
