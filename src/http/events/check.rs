//! Events as they come become events that can be written, or the reason why not.

use super::{Consent, Event, EventItem, EventProblem as Problem};
use crate::{
    domain::{ArticleId, CustomerId, InvalidId, Timestamp, VisitorId},
    serving::{EventType, EventsConfig, Signer, Unattributed},
    store::{self, Counting, Millis, NewEvent},
};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const MAX_ITEMS: usize = 500;
const MAX_QUANTITY: f64 = 100_000.0;
const MAX_PRICE: f64 = 1e12;
const MAX_POSITION: u16 = 1_000;
/// Clocks of browsers may be this fast.
const FUTURE: i64 = 10 * 60 * 1_000;
/// What is older says nothing about what sells now.
const COUNTED: i64 = 30 * 24 * 3_600 * 1_000;

pub(super) type Rejected = (Problem, String);

/// What events are checked against.
pub(super) struct Check<'a> {
    pub(super) now: Millis,
    pub(super) config: &'a EventsConfig,
    /// Knows the answers that events come from; `None` before its key was read.
    pub(super) signer: Option<&'a Signer>,
}

/// An event that can be written, and why it is not attributed to the answer that it names.
pub(super) type Checked = (NewEvent, Option<Unattributed>);

/// # Errors
/// What is wrong with it and what to do.
pub(super) fn checked(event: Value, check: &Check<'_>) -> Result<Checked, Rejected> {
    let &Check { now, config, signer } = check;
    let event: Event = read(event)?;
    let kind =
        config.event_type(&event.r#type).ok_or_else(|| unknown_type(&event.r#type, config))?;
    let event_id = text("event_id", event.event_id)?;
    let at = moment(event.at.as_deref(), now)?;
    let customer = id("customer_id", event.customer_id, CustomerId::try_from)?;
    let visitor = id("visitor_id", event.visitor_id, VisitorId::try_from)?;
    let Consent { personalization, analytics } = event.consent;
    if customer.is_none() && visitor.is_none() && personalization {
        let detail = "give `customer_id` or `visitor_id`, or both; without either, say that the person does not want to be \
            known: `\"consent\": {\"personalization\": false}`";
        return Err((Problem::MissingSubject, detail.to_owned()));
    }
    let (items, unattributed) = items(event.items, kind, signer.filter(|_| analytics))?;
    let event = NewEvent {
        event_id,
        kind: event.r#type,
        retention: kind.retention,
        at,
        customer: customer.filter(|_| personalization),
        visitor: visitor.filter(|_| personalization),
        order_id: event.order_id.map(|order| text("order_id", order)).transpose()?,
        currency: event.currency.map(currency).transpose()?,
        counting: if now.0 - at.0 > COUNTED { Counting::Nothing } else { kind.counting },
        items,
    };
    Ok((event, unattributed))
}

/// Reads it once more if it cannot be read, now with the path to every value.
fn read(event: Value) -> Result<Event, Rejected> {
    serde_path_to_error::deserialize(event).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "the event".to_owned() } else { format!("`{path}`") };
        (Problem::InvalidEvent, format!("{path}: {}", error.inner()))
    })
}

fn unknown_type(kind: &str, config: &EventsConfig) -> Rejected {
    let types: Vec<&str> = config.event_types().collect();
    let kind: String = kind.chars().take(64).collect();
    let detail = format!(
        "there is no type `{kind}`; types are {}. The server's configuration can register others as `events.types`",
        types.join(", ")
    );
    (Problem::UnknownType, detail)
}

/// A text by the rules of ids.
fn text(key: &str, text: String) -> Result<String, Rejected> {
    id(key, Some(text.clone()), ArticleId::try_from).map(|_| text)
}

fn id<T>(
    key: &str,
    text: Option<String>,
    parse: impl Fn(String) -> Result<T, InvalidId>,
) -> Result<Option<T>, Rejected> {
    text.map(parse).transpose().map_err(|error| (Problem::BadId, format!("`{key}`: {error}")))
}

/// When it happened; never later than now.
fn moment(at: Option<&str>, now: Millis) -> Result<Millis, Rejected> {
    let Some(text) = at else { return Ok(now) };
    let bad = || {
        let text: String = text.chars().take(64).collect();
        (
            Problem::BadTime,
            format!("`at`: `{text}` is no moment from 1970 to 2106; write 2026-01-31T12:00:00Z"),
        )
    };
    let at = Millis::from(OffsetDateTime::parse(text, &Rfc3339).map_err(|_| bad())?);
    if at.0 > now.0 + FUTURE {
        let detail = "`at` is more than 10 minutes in the future: set the sender's clock, or leave `at` out for now";
        return Err((Problem::TooFarInTheFuture, detail.to_owned()));
    }
    if at < Millis(0) || at.0 / 1_000 > i64::from(Timestamp(u32::MAX).0) {
        return Err(bad());
    }
    Ok(at.min(now))
}

fn currency(code: String) -> Result<String, Rejected> {
    match code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => Ok(code),
        false => Err((
            Problem::InvalidEvent,
            "`currency` must be three capital letters, such as EUR".to_owned(),
        )),
    }
}

/// The items, each with the answer that it comes from; and why the first is not attributed of those
/// that name one and are not.
fn items(
    items: Vec<EventItem>,
    kind: EventType,
    signer: Option<&Signer>,
) -> Result<(Vec<store::EventItem>, Option<Unattributed>), Rejected> {
    if items.is_empty() && kind.needs_items {
        let detail = "an event of this type is about articles: name them in `items`";
        return Err((Problem::MissingItems, detail.to_owned()));
    }
    if items.len() > MAX_ITEMS {
        let detail =
            format!("`items` holds at most {MAX_ITEMS}, not {}; send several events", items.len());
        return Err((Problem::BadItem, detail));
    }
    let (mut checked, mut unattributed) = (Vec::with_capacity(items.len()), None);
    for (nth, mut given) in items.into_iter().enumerate() {
        let answer = given.recommendation_id.take();
        let mut item = item(given, nth)?;
        if let (Some(answer), Some(signer)) = (answer, signer) {
            match signer.origin(&answer, &item.article) {
                Ok(origin) => item.origin = Some(origin),
                Err(problem) => unattributed = unattributed.or(Some(problem)),
            }
        }
        checked.push(item);
    }
    Ok((checked, unattributed))
}

fn item(item: EventItem, nth: usize) -> Result<store::EventItem, Rejected> {
    let bad =
        |key: &str, problem: &str| (Problem::BadItem, format!("`items[{nth}].{key}` {problem}"));
    let EventItem { article_id, quantity, price, line, recommendation_id: _, position } = item;
    let article = ArticleId::try_from(article_id)
        .map_err(|error| bad("article_id", &format!("is no id: {error}")))?;
    let quantity = quantity as f32;
    if !(quantity > 0.0 && f64::from(quantity) <= MAX_QUANTITY) {
        return Err(bad("quantity", "must be above 0 and at most 100000"));
    }
    if price.is_some_and(|price| !(0.0..=MAX_PRICE).contains(&price)) {
        return Err(bad("price", "must be 0 or above"));
    }
    if position.is_some_and(|position| !(1..=MAX_POSITION).contains(&position)) {
        return Err(bad("position", "must be 1 to 1000"));
    }
    let line = line.map(|line| text(&format!("items[{nth}].line"), line)).transpose()?;
    Ok(store::EventItem { article, quantity, price, line, origin: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::{Config, Told};
    use serde_json::json;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn check(changes: Value) -> Result<NewEvent, Rejected> {
        let mut event = json!({"event_id": "e", "type": "view", "visitor_id": "v", "items": [{"article_id": "a"}]});
        for (key, value) in changes.as_object().unwrap() {
            event[key] = value.clone();
        }
        check_event(event).map(|(event, _)| event)
    }

    fn check_event(event: Value) -> Result<Checked, Rejected> {
        let signer = Signer::new([7; 32]);
        checked(
            event,
            &Check { now: NOW, config: &Config::default().events, signer: Some(&signer) },
        )
    }

    #[test]
    fn what_is_wrong_has_a_code_and_says_what_to_do() {
        use Problem as P;
        for (changes, code, says) in [
            (json!({"type": "look"}), P::UnknownType, "`events.types`"),
            (json!({"visitor_id": null}), P::MissingSubject, "`customer_id` or `visitor_id`"),
            (json!({"at": "yesterday"}), P::BadTime, "`yesterday`"),
            (json!({"at": "1969-12-31T23:59:59Z"}), P::BadTime, "1970"),
            (json!({"at": "2027-01-15T08:10:01Z"}), P::TooFarInTheFuture, "clock"),
            (json!({"items": []}), P::MissingItems, "`items`"),
            (json!({"items": [{"article_id": ""}]}), P::BadItem, "`items[0].article_id`"),
            (
                json!({"items": [{"article_id": "a", "quantity": 0}]}),
                P::BadItem,
                "`items[0].quantity`",
            ),
            (
                json!({"items": [{"article_id": "a", "quantity": 1e-60}]}),
                P::BadItem,
                "`items[0].quantity`",
            ),
            (json!({"items": [{"article_id": "a", "price": -1}]}), P::BadItem, "`items[0].price`"),
            (
                json!({"items": [{"article_id": "a"}, {"article_id": "b", "position": 0}]}),
                P::BadItem,
                "items[1].position",
            ),
            (json!({"event_id": "a\u{7}"}), P::BadId, "`event_id`"),
            (json!({"customer_id": "x".repeat(129)}), P::BadId, "`customer_id`"),
            (json!({"order_id": ""}), P::BadId, "`order_id`"),
            (json!({"currency": "euro"}), P::InvalidEvent, "`currency`"),
            (json!({"tipe": 1}), P::InvalidEvent, "`tipe`"),
            (json!({"items": [{"article_id": 7}]}), P::InvalidEvent, "`items[0].article_id`"),
        ] {
            let (found, detail) = check(changes.clone()).unwrap_err();
            assert!(found == code && detail.contains(says), "{changes}: {found:?} {detail}");
        }
        for no_event in [json!(null), json!("view"), json!([])] {
            assert_eq!(check_event(no_event).unwrap_err().0, P::InvalidEvent);
        }
    }

    #[test]
    fn moments_are_never_later_than_now_and_old_ones_do_not_count() {
        let at = |at: &str| check(json!({"at": at, "type": "purchase"})).unwrap();
        assert_eq!(check(json!({})).unwrap().at, NOW);
        assert_eq!(at("2027-01-15T08:09:00Z").at, NOW, "a fast clock");
        let lately = at("2027-01-15T07:00:00.123+00:00");
        assert_eq!((lately.at.0 % 1_000, lately.counting), (123, Counting::Adds));
        assert_eq!(at("2026-12-01T00:00:00Z").counting, Counting::Nothing);
    }

    #[test]
    fn who_does_not_want_to_be_known_is_not() {
        let event =
            check(json!({"customer_id": "c", "consent": {"personalization": false}})).unwrap();
        assert_eq!((event.customer, event.visitor), (None, None));
        let nobody = json!({"visitor_id": null, "consent": {"personalization": false}});
        assert!(check(nobody).is_ok());
    }

    #[test]
    fn an_event_belongs_to_the_answer_that_it_names_if_that_holds_the_article() {
        let told = Told {
            route: "home",
            model: "m",
            version: "v",
            answered: Timestamp(7),
            offset: 0,
            articles: vec![("b", "model"), ("a", "popular")],
        };
        let id = Signer::new([7; 32]).sign(&told);
        let click = |article: &str, id: &str, analytics: bool| {
            let items = json!([{"article_id": article, "recommendation_id": id, "position": 1}]);
            let consent = json!({"analytics": analytics});
            let event = json!({"event_id": "e", "type": "click", "visitor_id": "v", "items": items, "consent": consent});
            let (event, unattributed) = check_event(event).unwrap();
            (event.items[0].origin.as_ref().map(|origin| origin.position), unattributed)
        };
        assert_eq!(click("a", &id, true), (Some(2), None));
        assert_eq!(click("c", &id, true), (None, Some(Unattributed::NotInList)));
        assert_eq!(click("a", "made up", true), (None, Some(Unattributed::Forged)));
        assert_eq!(click("a", &id, false), (None, None), "no consent");
    }
}
