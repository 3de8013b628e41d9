//! The pipeline over a small exact model.

use super::*;
use crate::{
    domain::{ArticleId, CustomerId, IdTable, Number, Timestamp, TopK},
    features::{ArticleView, CustomerView},
    retrieval::{Hit, Index, Query, QueryError},
};
use std::sync::Arc;

mod acted;
mod generation;
mod properties;
mod ruled;
mod several;

const DIM: usize = 4;
const ARTICLES: usize = 12_000;

/// Items `a0..` on a spiral; a customer `c<n>` looks in the direction of item `n`.
struct Spiral {
    ids: IdTable,
    vectors: Vec<f32>,
    popularity: Vec<f32>,
    history: bool,
}

fn direction(n: usize) -> [f32; DIM] {
    let x = n as f32;
    let v = [(x * 0.37).sin(), (x * 0.37).cos(), (x * 0.011).sin(), (x * 0.011).cos()];
    v.map(|x| x / 2f32.sqrt())
}

impl Spiral {
    fn new(items: usize) -> Self {
        let ids = (0..items).map(|n| format!("a{n}")).collect::<Vec<_>>();
        Self {
            ids: ids.iter().map(String::as_str).collect(),
            vectors: (0..items).flat_map(direction).collect(),
            popularity: (0..items).map(|n| ((n * 7919) % 1_000) as f32).collect(),
            history: false,
        }
    }
}

impl Index for Spiral {
    fn len(&self) -> usize {
        self.ids.len()
    }
    fn dim(&self) -> usize {
        DIM
    }
    fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, QueryError> {
        let allowed = (0..self.len() as u32)
            .filter(|&item| query.allowed.is_none_or(|set| set.contains(item)));
        let row = |item: u32| &self.vectors[item as usize * DIM..][..DIM];
        let score = |item| row(item).iter().zip(query.vector).map(|(a, b)| a * b).sum();
        let mut hits: Vec<Hit> = allowed.map(|item| Hit { item, score: score(item) }).collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        hits.truncate(query.k);
        Ok(hits)
    }
}

impl Model for Spiral {
    fn name(&self) -> &str {
        "spiral"
    }
    fn version(&self) -> &str {
        "1"
    }
    fn items(&self) -> usize {
        self.ids.len()
    }
    fn index(&self) -> Option<&dyn Index> {
        Some(self)
    }
    fn search_plan(&self, _query: &Query<'_>) -> &'static str {
        "scan"
    }
    fn item(&self, article_id: &str) -> Option<u32> {
        self.ids.find(article_id)
    }
    fn vector(&self, item: u32) -> Option<&[f32]> {
        Some(&self.vectors[item as usize * DIM..][..DIM])
    }
    fn popularity(&self) -> &[f32] {
        &self.popularity
    }
    fn knows_customer(&self, id: &str) -> bool {
        id.starts_with('c')
    }
    fn reads_history(&self) -> bool {
        self.history
    }
    fn needs_history(&self) -> bool {
        false
    }
    fn reads_sequence(&self) -> bool {
        self.history
    }
    fn embed_customer(
        &self,
        customer: &CustomerView<'_>,
        vector: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let own = customer.id.and_then(|id| id.strip_prefix('c')?.parse().ok());
        let last = customer.history.first().map(|&item| item as usize);
        *vector = direction(own.or(last).unwrap_or(5)).to_vec();
        Ok(())
    }
    fn embed_articles(&self, articles: &[ArticleView<'_>]) -> Result<Vec<f32>, ModelError> {
        if articles.iter().any(|article| article.attributes.text("bucket") == Some("broken")) {
            return Err(ModelError("broken".to_owned()));
        }
        Ok(articles.iter().flat_map(|_| direction(42)).collect())
    }
}

fn push(builder: &mut CatalogueBuilder, n: usize, available: bool) {
    let (id, code) = (format!("a{n}"), (n / 2).to_string());
    let bucket = match n {
        0..2 => "one",
        2..14 => "ten",
        14..130 => "hundred",
        _ => "many",
    };
    let price = Cell::Number(Number::Integer(n as i64));
    builder.push(
        &id,
        available,
        [("bucket", Cell::Text(bucket)), ("code", Cell::Text(&code)), ("price", price)],
    );
}

/// The snapshot after changes of its catalogue.
fn changed(
    snapshot: &Snapshot,
    version: i64,
    change: impl FnOnce(&mut CatalogueBuilder),
) -> Snapshot {
    let mut builder = CatalogueBuilder::of(snapshot.catalogue(), Default::default()).unwrap();
    change(&mut builder);
    let (catalogue, changes) = builder.finish_with(version, |_| 0.0);
    snapshot.after(Arc::new(catalogue), &changes).unwrap()
}

/// Article `n` keeps `bucket` = the number of digits n has, `parity`, `code` = n / 2; every 10th is
/// sold out.
fn catalogue(extra: &[&str], lacking: &[usize]) -> Catalogue {
    let mut builder = CatalogueBuilder::default();
    for n in (0..ARTICLES).filter(|n| !lacking.contains(n)) {
        push(&mut builder, n, n % 10 != 0);
    }
    for id in extra {
        builder.push(id, true, [("bucket", Cell::Text("new"))]);
    }
    builder.finish(1)
}

fn snapshot() -> Snapshot {
    Snapshot::new(Arc::new(Spiral::new(ARTICLES)), Arc::new(catalogue(&["new1", "new2"], &[])))
        .unwrap()
}

fn filter(json: &str) -> Filter {
    Filter::parse(&serde_json::from_str(json).unwrap()).unwrap()
}

fn ids(texts: &[&str]) -> Vec<ArticleId> {
    texts.iter().map(|text| ArticleId::parse(text).unwrap()).collect()
}

/// A request as the tests write it.
#[derive(Clone)]
struct Ask<'a> {
    subject: Who<'a>,
    k: TopK,
    offset: Option<usize>,
    at: Timestamp,
    filter: &'a Filter,
    only: Option<&'a [ArticleId]>,
    exclude: Exclude,
    max_per: &'a [(String, usize)],
    explain: bool,
    tell_purchases: bool,
    generation: Option<Generation>,
}

#[derive(Clone, Copy)]
enum Who<'a> {
    Customer(Visitor<'a>),
    Article(&'a ArticleId),
    Everyone,
}

#[derive(Clone, Copy)]
struct Visitor<'a> {
    id: Option<&'a CustomerId>,
    recorded: bool,
    purchases: &'a [ArticleId],
    purchase_times: &'a [Timestamp],
    session: &'a [ArticleId],
}

fn customer(id: Option<&CustomerId>) -> Visitor<'_> {
    Visitor { id, recorded: false, purchases: &[], purchase_times: &[], session: &[] }
}

fn request<'a>(subject: Who<'a>, k: usize, filter: &'a Filter) -> Ask<'a> {
    let (k, at) = (TopK::new(k).unwrap(), Timestamp(1_600_000_000));
    Ask {
        subject,
        k,
        offset: None,
        at,
        filter,
        only: None,
        exclude: Exclude::default(),
        max_per: &[],
        explain: false,
        tell_purchases: true,
        generation: None,
    }
}

fn try_answer(snapshot: &Snapshot, ask: &Ask<'_>) -> Result<Answer, RecommendError> {
    let recipe = Recipe {
        filter: ask.filter.clone(),
        exclude: ask.exclude.clone(),
        max_per: ask.max_per.to_vec(),
        ..Recipe::default()
    };
    let mut request = Request {
        offset: ask.offset,
        only: ask.only.map(<[_]>::to_vec),
        explain: ask.explain,
        tell_purchases: ask.tell_purchases,
        generation: ask.generation,
        recipe: Arc::new(recipe),
        ..Request::new(None, ask.k, ask.at)
    };
    let mut customer = Customer::UNKNOWN;
    match ask.subject {
        Who::Customer(visitor) => {
            (request.customer, request.session) = (visitor.id.cloned(), visitor.session.to_vec());
            let Visitor { recorded, purchases, purchase_times, .. } = visitor;
            customer = Customer { recorded, purchases, purchase_times, ..customer };
        }
        Who::Article(id) => request.subject = Subject::Article(id.clone()),
        Who::Everyone => request.subject = Subject::Everyone,
    }
    recommend(&Shop::default(), snapshot, &request, customer)
}

fn refused(snapshot: &Snapshot, ask: &Ask<'_>) -> RecommendError {
    try_answer(snapshot, ask).unwrap_err()
}

fn answer(snapshot: &Snapshot, ask: &Ask<'_>) -> Answer {
    let answer = try_answer(snapshot, ask).unwrap();
    assert_eq!(
        answer,
        try_answer(snapshot, ask).unwrap(),
        "same request, same snapshot, same answer"
    );
    for item in &answer.items {
        assert!(snapshot.catalogue().available().contains(item.row), "available");
    }
    let rows: std::collections::HashSet<u32> = answer.items.iter().map(|item| item.row).collect();
    assert_eq!(rows.len(), answer.items.len(), "no article twice");
    answer
}

fn names<'a>(snapshot: &'a Snapshot, answer: &Answer) -> Vec<&'a str> {
    answer.items.iter().map(|item| snapshot.catalogue().id(item.row)).collect()
}

#[test]
fn k_articles_whenever_k_are_eligible_however_selective_the_filter() {
    let snapshot = snapshot();
    let id = CustomerId::parse("c77").unwrap();
    let unknown = CustomerId::parse("nobody").unwrap();
    for (json, eligible) in [
        (r#"{"bucket": "one"}"#, 1),
        (r#"{"bucket": "ten"}"#, 11),
        (r#"{"bucket": "hundred"}"#, 105),
        (r#"{"bucket": ["many", "new"]}"#, 10_685),
        ("{}", 10_802),
    ] {
        let filter = filter(json);
        assert_eq!(snapshot.eligible(&filter).unwrap().rows.count(), eligible, "{json}");
        let article = ArticleId::parse("a5001").unwrap();
        for subject in [
            Who::Customer(customer(Some(&id))),
            Who::Customer(customer(Some(&unknown))),
            Who::Customer(customer(None)),
            Who::Article(&article),
            Who::Everyone,
        ] {
            for k in [1, 12, 500] {
                let answer = answer(&snapshot, &request(subject, k, &filter));
                assert_eq!(answer.items.len(), k.min(eligible), "{json} k {k}");
            }
        }
    }
}

#[test]
fn who_asks_decides_strategy_and_fallback() {
    let snapshot = snapshot();
    let none = Filter::default();
    let (known, unknown) =
        (CustomerId::parse("c77").unwrap(), CustomerId::parse("nobody").unwrap());
    let session = ids(&["a300", "a301", "gone"]);
    let told = |customer: Visitor<'_>| {
        let answer = answer(&snapshot, &request(Who::Customer(customer), 5, &none));
        (answer.strategy, answer.fallback, answer.items[0].source, answer.warnings)
    };
    assert_eq!(
        told(customer(Some(&known))),
        (Strategy::Personalised, None, sources::MODEL, vec![])
    );
    assert_eq!(
        told(customer(Some(&unknown))),
        (Strategy::Popular, Some(Fallback::UnknownCustomer), sources::POPULAR, vec![])
    );
    assert_eq!(
        told(Visitor { recorded: true, ..customer(Some(&unknown)) }),
        (Strategy::Personalised, Some(Fallback::UnknownToModel), sources::MODEL, vec![])
    );
    assert_eq!(
        told(customer(None)),
        (Strategy::Popular, Some(Fallback::Anonymous), sources::POPULAR, vec![])
    );
    assert_eq!(
        told(Visitor { session: &session, ..customer(None) }),
        (Strategy::Session, None, sources::MODEL, vec![Warning::UnknownSessionArticles])
    );
    assert_eq!(
        told(Visitor { session: &session[..1], ..customer(Some(&known)) }).3,
        [Warning::SessionNotUsed],
    );
}

#[test]
fn a_visit_feeds_the_history_of_a_model_that_reads_one() {
    let model = Spiral { history: true, ..Spiral::new(ARTICLES) };
    let snapshot = Snapshot::new(Arc::new(model), Arc::new(catalogue(&[], &[]))).unwrap();
    let session = ids(&["a777", "a1"]);
    let guest = Visitor { session: &session, ..customer(None) };
    let none = Filter::default();
    let got = answer(&snapshot, &request(Who::Customer(guest), 3, &none));
    let same = Spiral::new(ARTICLES)
        .search(&Query { vector: &direction(777), k: 9, allowed: None })
        .unwrap();
    let best = same.iter().map(|hit| hit.item as usize).find(|n| n % 10 != 0 && *n != 777).unwrap();
    assert_eq!(
        (got.strategy, names(&snapshot, &got)[0]),
        (Strategy::Session, format!("a{best}").as_str())
    );
    assert!(!names(&snapshot, &got).contains(&"a777"), "what was just seen is not answered back");
}

#[test]
fn purchased_and_excluded_articles_never_appear() {
    let snapshot = snapshot();
    let (id, all) = (CustomerId::parse("c77").unwrap(), Filter::default());
    let open = request(Who::Customer(customer(Some(&id))), 10, &all);
    let before: Vec<String> =
        names(&snapshot, &answer(&snapshot, &open)).into_iter().map(str::to_owned).collect();
    let texts: Vec<&str> = before.iter().map(String::as_str).collect();
    let (purchases, named) = (ids(&texts[..5]), ids(&texts[5..8]));
    let buyer = Visitor { purchases: &purchases, ..customer(Some(&id)) };
    let exclude = Exclude { article_ids: named, purchased: true, ..Exclude::default() };
    let rest = answer(&snapshot, &Ask { subject: Who::Customer(buyer), exclude, ..open });
    assert_eq!(names(&snapshot, &rest)[..2], texts[8..]);
    assert_eq!((rest.items.len(), rest.counts.filtered), (10, 1_200 + 8));
}

#[test]
fn articles_newer_than_the_model_are_found_and_older_ones_never_answered() {
    let catalogue = catalogue(&["new1", "new2"], &[77, 78]);
    let snapshot = Snapshot::new(Arc::new(Spiral::new(ARTICLES)), Arc::new(catalogue)).unwrap();
    let none = Filter::default();
    let id = CustomerId::parse("c42").unwrap();
    let found = answer(&snapshot, &request(Who::Customer(customer(Some(&id))), 4, &none));
    assert_eq!(names(&snapshot, &found)[..3], ["a42", "new1", "new2"]);
    let id = CustomerId::parse("c77").unwrap();
    let found = answer(&snapshot, &request(Who::Customer(customer(Some(&id))), 50, &none));
    assert_eq!((found.items.len(), found.counts.filled), (50, 0));
    let new = ArticleId::parse("new1").unwrap();
    let like_new = answer(&snapshot, &request(Who::Article(&new), 2, &none));
    assert_eq!(names(&snapshot, &like_new), ["a42", "new2"]);
    let gone = ArticleId::parse("a77").unwrap();
    let error = refused(&snapshot, &request(Who::Article(&gone), 2, &none));
    assert_eq!(error, RecommendError::UnknownArticle(gone));
}

#[test]
fn max_per_limits_each_value_and_still_fills() {
    let snapshot = snapshot();
    let (id, all) = (CustomerId::parse("c77").unwrap(), filter(r#"{"bucket": "ten"}"#));
    let one_per_code = [("code".to_owned(), 1)];
    let limited =
        Ask { max_per: &one_per_code, ..request(Who::Customer(customer(Some(&id))), 500, &all) };
    let answer = answer(&snapshot, &limited);
    // Articles 2..14 share a code in pairs: six codes.
    assert_eq!(answer.items.len(), 6);
    let unknown = [("colour".to_owned(), 1)];
    let wrong = Ask { max_per: &unknown, ..limited };
    assert!(matches!(refused(&snapshot, &wrong), RecommendError::Filter(_)));
}

#[test]
fn reasons_name_the_closest_known_articles() {
    let snapshot = snapshot();
    let (id, all) = (CustomerId::parse("c77").unwrap(), Filter::default());
    let purchases = ids(&["a9000", "a78"]);
    let buyer = Visitor { purchases: &purchases, ..customer(Some(&id)) };
    let asked = Ask { explain: true, ..request(Who::Customer(buyer), 1, &all) };
    let answer = answer(&snapshot, &asked);
    assert_eq!(names(&snapshot, &answer), ["a77"]);
    let closest = snapshot.catalogue().row("a78").unwrap();
    assert!(
        matches!(answer.items[0].reasons[0], Reason::LikePurchased { row, .. } if row == closest)
    );
    assert!(matches!(answer.items[0].reasons[1], Reason::BestSeller { rank } if rank > 1));
}

#[test]
fn reasons_do_not_tell_purchases_to_whoever_may_not_know_them() {
    let snapshot = snapshot();
    let (id, all) = (CustomerId::parse("c77").unwrap(), Filter::default());
    let purchases = ids(&["a78", "a77"]);
    let buyer = Visitor { purchases: &purchases, ..customer(Some(&id)) };
    let asked =
        Ask { explain: true, tell_purchases: false, ..request(Who::Customer(buyer), 50, &all) };
    let answer = answer(&snapshot, &asked);
    let reasons: Vec<&Reason> = answer.items.iter().flat_map(|item| &item.reasons).collect();
    assert!(
        !reasons.is_empty()
            && reasons.iter().all(|reason| matches!(reason, Reason::BestSeller { .. }))
    );
    assert_eq!(answer.warnings, [Warning::PurchasesNotTold]);
}

#[test]
fn pages_are_parts_of_one_list() {
    let snapshot = snapshot();
    let (id, all) = (CustomerId::parse("c77").unwrap(), Filter::default());
    let one_per_code = [("code".to_owned(), 1)];
    for max_per in [&[][..], &one_per_code] {
        let page = |k: usize, offset: usize| {
            let base = request(Who::Customer(customer(Some(&id))), k, &all);
            let found = answer(&snapshot, &Ask { offset: Some(offset), max_per, ..base });
            names(&snapshot, &found).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let whole: Vec<String> = [page(500, 0), page(500, 500)].concat();
        let distinct: std::collections::BTreeSet<&String> = whole.iter().collect();
        assert_eq!((distinct.len(), whole.len()), (whole.len(), 1_000));
        let pages: Vec<String> = (0..20).flat_map(|n| page(7, n * 7)).collect();
        assert_eq!(pages, whole[..140]);
    }
    let few = filter(r#"{"bucket": "one"}"#);
    let beyond = Ask { offset: Some(5), ..request(Who::Everyone, 5, &few) };
    assert!(answer(&snapshot, &beyond).items.is_empty());
}

#[test]
fn a_given_list_is_ranked_and_unknown_ids_come_last() {
    let snapshot = snapshot();
    let (id, all) = (CustomerId::parse("c77").unwrap(), Filter::default());
    // Number 80 is sold out, as every tenth is.
    let list = ids(&["nothing", "a501", "a80", "a77", "new1", "a77", "nobody", "nothing"]);
    let base = request(Who::Customer(customer(Some(&id))), 12, &all);
    let asked = Ask { only: Some(&list), ..base.clone() };
    let whole = answer(&snapshot, &asked);
    let found = names(&snapshot, &whole);
    assert_eq!((found[0], found.len()), ("a77", 3));
    assert_eq!(
        (&whole.unknown, &whole.last),
        (&ids(&["nothing", "nobody"]), &ids(&["nothing", "nobody"]))
    );
    assert_eq!(whole.warnings, [Warning::UnknownArticleIds]);
    let page = |offset, k| {
        let k = TopK::new(k).unwrap();
        let answer = answer(&snapshot, &Ask { offset: Some(offset), k, ..asked.clone() });
        let items = names(&snapshot, &answer).into_iter().map(str::to_owned);
        items.chain(answer.last.iter().map(|id| id.as_str().to_owned())).collect::<Vec<_>>()
    };
    assert_eq!([page(0, 2), page(2, 2), page(4, 2), page(6, 2)].concat().len(), 5);
    assert_eq!(page(2, 2)[1], "nothing");
    assert_eq!(page(4, 2), ["nobody"]);
    let none = Ask { only: Some(&[]), ..base };
    assert!(answer(&snapshot, &none).items.is_empty());
}

#[test]
fn popular_articles_come_by_falling_sales() {
    let snapshot = snapshot();
    let none = Filter::default();
    let answer = answer(&snapshot, &request(Who::Everyone, 500, &none));
    assert!(answer.items.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert_eq!((answer.counts.filled, answer.counts.retrieved), (0, 0));
}

#[test]
fn a_change_gives_what_joining_anew_gives() {
    let old = snapshot();
    let filters = [
        r#"{"bucket": "new"}"#,
        r#"{"bucket": ["ten", "new"]}"#,
        r#"{"price": {"min": 70, "max": 90}}"#,
    ];
    for json in filters {
        old.eligible(&filter(json)).unwrap();
    }
    let bucket = |name| [("bucket", Cell::Text(name))];
    let mut later = changed(&old, 2, |builder| {
        push(builder, 77, false);
        push(builder, 80, true);
        builder.push("new2", true, bucket("ten"));
        builder.push("new3", true, bucket("new"));
        builder.remove("new1");
        builder.remove("a78");
        builder.push("a79", true, bucket("new"));
    });
    for round in 0..3 {
        let anew = Snapshot::new(later.model().clone(), later.catalogue().clone()).unwrap();
        for json in filters.into_iter().chain(["{}"]) {
            let filter = filter(json);
            assert!(later.remembers(&filter), "{json}");
            let (kept, joined) =
                (later.eligible(&filter).unwrap(), anew.eligible(&filter).unwrap());
            assert_eq!((&kept.rows, &kept.items), (&joined.rows, &joined.items), "{json}");
            for subject in ["c77", "c42", "c79"] {
                let id = CustomerId::parse(subject).unwrap();
                let asked = request(Who::Customer(customer(Some(&id))), 30, &filter);
                assert_eq!(
                    answer(&later, &asked).items,
                    answer(&anew, &asked).items,
                    "{round} {json} {subject}"
                );
            }
            let popular = request(Who::Everyone, 40, &filter);
            assert_eq!(answer(&later, &popular).items, answer(&anew, &popular).items, "{json}");
        }
        for gone in ["new1", "a78"].into_iter().filter(|_| round == 0) {
            let id = ArticleId::parse(gone).unwrap();
            let none = Filter::default();
            let asked = request(Who::Article(&id), 2, &none);
            assert_eq!(refused(&later, &asked), RecommendError::UnknownArticle(id.clone()));
        }
        later = changed(&later, 3 + round, |builder| {
            builder.push("new1", true, bucket("new"));
            builder.push(&format!("newer{round}"), true, bucket("new"));
            builder.remove("new2");
            push(builder, 78, true);
            push(builder, 77, true);
        });
    }
    assert_eq!(names(&old, &answer(&old, &request(Who::Everyone, 1, &Filter::default()))).len(), 1);
    assert!(old.over(later.catalogue().clone()).is_none());
}

/// Many new articles, more than the index of the latest changes holds.
#[test]
fn thousands_of_new_articles_are_found_like_all_others() {
    let model = Spiral::new(10);
    let mut builder = CatalogueBuilder::default();
    (0..ARTICLES).for_each(|n| push(&mut builder, n, true));
    let mut snapshot = Snapshot::new(Arc::new(model), Arc::new(builder.finish(1))).unwrap();
    for round in 0..3 {
        snapshot = changed(&snapshot, 2 + round, |builder| {
            (0..1_500).for_each(|n| push(builder, ARTICLES + 1_500 * round as usize + n, true));
            builder.remove(&format!("a{}", 5_000 + round));
        });
    }
    assert_eq!(
        (snapshot.fresh_articles(), snapshot.catalogue().len()),
        (ARTICLES + 4_500 - 13, ARTICLES + 4_500 - 3)
    );
    let id = CustomerId::parse("c3").unwrap();
    let one = filter(r#"{"price": [5000, 5001, 7000, 16499]}"#);
    let found = answer(&snapshot, &request(Who::Customer(customer(Some(&id))), 10, &one));
    let mut names = names(&snapshot, &found);
    names.sort_unstable();
    assert_eq!((names, found.counts.retrieved), (vec!["a16499", "a7000"], 2));
}

/// One article that the item tower cannot take keeps no other out.
#[test]
fn an_article_that_cannot_be_embedded_has_no_vector() {
    let mut builder = CatalogueBuilder::default();
    push(&mut builder, 1, true);
    builder.push("good", true, [("bucket", Cell::Text("new"))]);
    builder.push("bad", true, [("bucket", Cell::Text("broken"))]);
    let snapshot = Snapshot::new(Arc::new(Spiral::new(10)), Arc::new(builder.finish(1))).unwrap();
    let vector = |id| snapshot.vector(snapshot.catalogue().row(id).unwrap()).is_some();
    assert_eq!(["a1", "good", "bad"].map(vector), [true, true, false]);
    let id = CustomerId::parse("c1").unwrap();
    let none = Filter::default();
    assert_eq!(
        answer(&snapshot, &request(Who::Customer(customer(Some(&id))), 5, &none)).items.len(),
        3
    );
}

#[test]
fn the_sales_of_the_shop_come_before_those_of_the_model() {
    let snapshot = snapshot();
    let counted = snapshot.catalogue().with_sales(|id| match id {
        "new1" => 3.5,
        "a10" => 9.0,
        "a11" => 1.0,
        _ => 0.0,
    });
    let snapshot = snapshot.over(Arc::new(counted)).unwrap();
    let none = Filter::default();
    let popular = |snapshot: &Snapshot| answer(snapshot, &request(Who::Everyone, 3, &none));
    let found = popular(&snapshot);
    // a10 is sold out, a1 comes first by its id among those that nobody bought.
    assert_eq!(names(&snapshot, &found), ["new1", "a11", "a1"]);
    assert_eq!((found.items[0].score, found.items[2].source), (3.5, sources::CATALOGUE));
    assert_eq!(
        (
            snapshot.popularity(3),
            snapshot.popularity_rank(snapshot.catalogue().row("a10").unwrap())
        ),
        (0.0, 0)
    );
    // What changes the availability keeps the sales.
    let restocked = changed(&snapshot, 5, |builder| push(builder, 10, true));
    assert_eq!(names(&restocked, &popular(&restocked)), ["a10", "new1", "a11"]);
}

#[test]
fn what_was_bought_after_the_moment_asked_for_is_not_known() {
    let snapshot = Snapshot::new(
        Arc::new(Spiral { history: true, ..Spiral::new(ARTICLES) }),
        Arc::new(catalogue(&[], &[])),
    );
    let (snapshot, none) = (snapshot.unwrap(), Filter::default());
    let id = CustomerId::parse("newcomer").unwrap();
    let purchases = ids(&["a333", "a222", "a111"]);
    let times = [30, 20, 10].map(Timestamp);
    let ask = |at: u32, purchased: bool| {
        let known = Visitor {
            recorded: true,
            purchases: &purchases,
            purchase_times: &times,
            ..customer(Some(&id))
        };
        let request = Ask {
            at: Timestamp(at),
            explain: true,
            exclude: Exclude { purchased, ..Exclude::default() },
            ..request(Who::Customer(known), 5, &none)
        };
        answer(&snapshot, &request)
    };
    // The model of this test looks in the direction of the latest article.
    for (at, latest) in [(31, "a333"), (30, "a222"), (21, "a222"), (20, "a111"), (11, "a111")] {
        let found = ask(at, false);
        assert_eq!(names(&snapshot, &found)[0], latest, "at {at}");
        let like = found.items[0].reasons.iter().find_map(|reason| match reason {
            Reason::LikePurchased { row, .. } => Some(snapshot.catalogue().id(*row)),
            _ => None,
        });
        assert_eq!(like, Some(latest), "at {at}");
        assert_ne!(names(&snapshot, &ask(at, true))[0], latest, "at {at}, without purchases");
    }
    // What is bought later may be recommended, and nothing gives it away.
    let future = snapshot.catalogue().row("a333").unwrap();
    let before = ask(25, true);
    let reasons = before.items.iter().flat_map(|item| &item.reasons);
    assert!(
        !reasons
            .into_iter()
            .any(|reason| matches!(reason, Reason::LikePurchased { row, .. } if *row == future))
    );
    assert!(ask(10, false).items.iter().all(|item| {
        !item
            .reasons
            .iter()
            .any(|r| matches!(r, Reason::LikePurchased { .. } | Reason::BoughtBefore { .. }))
    }));
}
