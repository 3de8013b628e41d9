//! What was taken back, cancelled or only tried is no purchase.

use super::tests::{folder, loaded, rows};

/// Purchases with one more column: `taken` in every tenth row, `kept` in the others.
fn orders(column: &str, taken: &str, kept: &str) -> String {
    let row = |at: usize| {
        let value = if at.is_multiple_of(10) { taken } else { kept };
        format!("C{},A{},2023-01-{:02},{value}", at * 7 % 50, at * 11 % 23, 1 + at % 28)
    };
    format!("customer_id,sku,order_date,{column}\n{}", rows(1_000, row))
}

#[test]
fn rows_that_were_taken_back_do_not_count() {
    for (column, taken, kept, says) in [
        ("order_status", "returned", "completed", r#"order_status = { not = "returned" }"#),
        ("Status", "Retoure", "Bezahlt", r#"Status = { not = "Retoure" }"#),
        ("order_status", "RTO", "Delivered", r#"order_status = { not = "RTO" }"#),
        ("is_return", "true", "false", r#"is_return = { not = "true" }"#),
        ("returned", "1", "0", r#"returned = { not = "1" }"#),
        ("Storniert", "Ja", "Nein", r#"Storniert = { not = "Ja" }"#),
        ("is_cancelled", "Y", "N", r#"is_cancelled = { not = "Y" }"#),
        ("test_order", "1", "0", r#"test_order = { not = "1" }"#),
        ("cancelled_at", "2023-02-01", "", "cancelled_at = { exists = false }"),
        ("return_reason", "too small", "", "return_reason = { exists = false }"),
    ] {
        let text = orders(column, taken, kept);
        let (text, dataset, _) = loaded(&folder(&[("o.csv", text.as_bytes())]));
        assert!(text.contains(says), "{text}");
        assert_eq!(dataset.purchases.len(), 900, "{text}");
        assert!(!text.contains("keep"), "it describes nobody: {text}");
    }
}

#[test]
fn what_may_tell_of_returns_is_said() {
    for (column, taken, kept, says) in [
        (
            "refund_amount",
            "9.99",
            "0",
            "`refund_amount` may tell what was taken back: it is above 0 in 100",
        ),
        ("returned", "no", "yes", "`returned` may tell"),
        ("returnable", "no", "yes", ""),
        ("test_group", "1", "0", ""),
    ] {
        let text = orders(column, taken, kept);
        let (text, dataset, _) = loaded(&folder(&[("o.csv", text.as_bytes())]));
        assert!(text.contains(says) && !text.contains("where = "), "{text}");
        assert!(!says.is_empty() || !text.contains("may tell"), "{text}");
        assert!(!text.contains("price"), "{text}");
        assert_eq!(dataset.purchases.len(), 1_000, "{text}");
    }
}

#[test]
fn the_further_lines_of_a_refunded_order_do_not_count_either() {
    let line = |full: bool| {
        move |at: usize| {
            let order = at / 3;
            let (status, cancelled) = match order % 10 {
                0 => ("refunded", ""),
                1 => ("paid", "2024-01-01 10:00:00 +0100"),
                _ => ("paid", ""),
            };
            let email = format!("c{}@shop.example", order % 40);
            let created = format!("2023-01-{:02} 10:00:00 +0100", 1 + order % 28);
            match (at % 3, full) {
                (0, _) => format!("#{order},{email},{status},{created},{cancelled},A{}", at % 17),
                (_, true) => format!("#{order},{email},,{created},,A{}", at % 17),
                (_, false) => format!("#{order},,,,,A{}", at % 17),
            }
        }
    };
    let header = "Name,Email,Financial Status,Created at,Cancelled at,Lineitem sku";
    let text = format!("{header}\n{}", rows(600, line(false)));
    let (text, dataset, _) = loaded(&folder(&[("orders_export.csv", text.as_bytes())]));
    assert_eq!(dataset.purchases.len(), 480, "{text}");
    assert!(
        text.contains(r#"["Email", "Created at", "Financial Status", "Cancelled at"]"#),
        "{text}"
    );
    // The customer in every line, the status in the first.
    let header = header.replace("Name", "order_id");
    let text = format!("{header}\n{}", rows(600, line(true)));
    let (text, _, _) = loaded(&folder(&[("orders.csv", text.as_bytes())]));
    assert!(text.contains(r#"fill_down = { columns = ["Financial Status"]"#), "{text}");
}

#[test]
fn an_article_is_called_by_its_number_where_it_has_one() {
    let row = |at: usize| {
        format!("2023-01-{:02},Nice thing {},S{},9.50,K{}", 1 + at % 28, at % 30, at % 30, at % 60)
    };
    for (header, article) in [
        ("Date,Item,SKU,Gross Sales,Customer ID", "SKU"),
        ("Sale Date,Item Name,Listing ID,Price,Buyer", "Listing ID"),
        ("date,product.name,product.id,price,customer.id", "product.id"),
    ] {
        let text = format!("{header}\n{}", rows(600, row));
        let (text, dataset, _) = loaded(&folder(&[("items.csv", text.as_bytes())]));
        assert!(text.contains(&format!("article = \"{article}\"")), "{text}");
        assert_eq!((dataset.customers.len(), dataset.articles.len()), (60, 30), "{text}");
    }
}
