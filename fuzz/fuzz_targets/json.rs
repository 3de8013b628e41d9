//! JSON lines and JSON arrays, nested objects and pairs included.

#![no_main]

use libfuzzer_sys::fuzz_target;

const DESCRIPTION: &str = r#"
[purchases]
files = ["purchases.json"]
article = "article"
customer = "customer.id"
time = "time"
time_format = "unix-millis"
price = "price"
"#;

fuzz_target!(|bytes: &[u8]| vitrine_fuzz::load("purchases.json", DESCRIPTION, bytes));
