//! One arm of the comparison: a way to choose lists, and the shop's customers as they become under
//! it.

use super::{
    Plan, SimulationError,
    files::{Told, article_id, article_number, customer_id},
    history::History,
    household::Household,
    market::Day,
    night::{MODEL, retrain},
    record::{ArmRecord, DayRecord, Night},
    server::{Place, Server},
    shop::{Moment, Shop},
    visit::{Act, Visit, best_list},
};
use crate::domain::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

/// Who chooses the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Chooser {
    /// A server that answers with what sells best
    Popularity,
    /// A server that is told nothing: history, counts and model are of before the first day
    Frozen,
    /// A server to which events flow back, with a model trained before the first day
    Once,
    /// The same with a new model every night
    Loop,
    /// The hidden utilities: the best that is possible
    Best,
}

impl Chooser {
    pub fn name(self) -> &'static str {
        match self {
            Self::Popularity => "popularity",
            Self::Frozen => "frozen",
            Self::Once => "once",
            Self::Loop => "loop",
            Self::Best => "best",
        }
    }

    pub(super) fn has_server(self) -> bool {
        self != Self::Best
    }
}

/// A list with the token by which events name it.
#[derive(Debug, Default)]
struct Shown {
    list: Vec<u32>,
    recommendation: Option<String>,
}

/// A customer in the shop.
#[derive(Debug, Clone, Copy)]
struct Visitor {
    customer: usize,
    day: Day,
    at: Timestamp,
}

/// Something bought that comes back.
#[derive(Debug, Clone, Copy)]
struct Return {
    due: Day,
    customer: usize,
    article: u32,
    bought: Day,
}

pub(super) struct Arm<'a> {
    pub chooser: Chooser,
    plan: &'a Plan,
    told: Told<'a>,
    place: Place,
    server: Option<Server>,
    households: Vec<Household>,
    returns: Vec<Return>,
    days: Vec<DayRecord>,
    nights: Vec<Night>,
}

impl<'a> Arm<'a> {
    pub(super) fn new(
        chooser: Chooser,
        plan: &'a Plan,
        told: Told<'a>,
        history: &History,
        place: Place,
    ) -> Self {
        Self {
            chooser,
            plan,
            told,
            place,
            server: None,
            households: history.households.clone(),
            returns: Vec::new(),
            days: Vec::new(),
            nights: Vec::new(),
        }
    }

    fn shop(&self) -> &'a Shop {
        self.told.shop
    }

    pub(super) fn record(self) -> ArmRecord {
        ArmRecord { arm: self.chooser.name().to_owned(), days: self.days, nights: self.nights }
    }

    /// Starts the arm's server.
    pub(super) fn open(&mut self) -> Result<(), SimulationError> {
        if !self.chooser.has_server() {
            return Ok(());
        }
        let server = self.place.serve(self.chooser.name())?;
        if !server.wait_until_ready() {
            return Err(self.place.not_listening(self.chooser.name()));
        }
        self.server = Some(server);
        self.withdraw(|gone| gone <= 0)
    }

    /// A whole day: new articles in the morning, then visit after visit.
    pub(super) fn day(&mut self, day: Day, stop: &AtomicBool) -> Result<(), SimulationError> {
        let mut record = DayRecord { day, ..DayRecord::default() };
        self.change_assortment(day)?;
        self.send_back(day, &mut record)?;
        let visitors: Vec<usize> = self.shop().visitors(day).collect();
        for (number, &customer) in visitors.iter().enumerate() {
            if stop.load(Ordering::Relaxed) {
                return Err(SimulationError::Stopped);
            }
            let visitor =
                Visitor { customer, day, at: self.told.visit(day, number, visitors.len()) };
            let shown = self.list(visitor)?;
            let visit =
                self.told.shop.visit(customer, day, &shown.list, &mut self.households[customer]);
            record.add(self.told.shop, &shown.list, &visit);
            self.tell(visitor, &shown, &visit)?;
            let returns = visit.returns.into_iter();
            self.returns.extend(returns.map(|(due, article)| Return {
                due,
                customer,
                article,
                bought: day,
            }));
        }
        self.days.push(record);
        Ok(())
    }

    /// After the last visit of a day.
    pub(super) fn night(&mut self) -> Result<(), SimulationError> {
        if self.chooser == Chooser::Loop {
            let night = retrain(&self.place, self.plan)?;
            if let (Night::Trained { .. }, Some(server)) = (&night, &self.server) {
                // The server would follow by itself within a second; a day must not begin before.
                server.admin.post(&format!("/admin/v1/models/{MODEL}/reload"), &json!({}))?;
            }
            self.nights.push(night);
        }
        Ok(())
    }

    fn list(&self, visitor: Visitor) -> Result<Shown, SimulationError> {
        let k = self.plan.k;
        let Some(server) = &self.server else {
            let Visitor { customer, day, .. } = visitor;
            let moment = Moment {
                shop: self.told.shop,
                customer,
                household: &self.households[customer],
                day,
            };
            return Ok(Shown { list: best_list(moment, k), recommendation: None });
        };
        let mut request = self.plan.recipe.clone();
        if self.chooser == Chooser::Popularity {
            request.insert("sources".to_owned(), json!([{"source": "popular"}]));
        }
        request.insert("customer_id".to_owned(), customer_id(visitor.customer).into());
        request.insert("k".to_owned(), k.into());
        request.insert("at".to_owned(), visitor.at.to_string().into());
        let answer = server.public.post("/v1/recommendations", &Value::Object(request))?;
        let ids = answer["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["article_id"].as_str());
        let list = ids.filter_map(article_number).collect();
        match answer["recommendation_id"].as_str() {
            Some(recommendation) => {
                Ok(Shown { list, recommendation: Some(recommendation.to_owned()) })
            }
            None => Err(SimulationError::NotSigned),
        }
    }

    /// The server that hears of events.
    fn listener(&self) -> Option<&Server> {
        self.server.as_ref().filter(|_| self.chooser != Chooser::Frozen)
    }

    /// Tells the server what the shop's pages and back office see of a visit.
    fn tell(&self, visitor: Visitor, shown: &Shown, visit: &Visit) -> Result<(), SimulationError> {
        let Some(server) = self.listener() else { return Ok(()) };
        let item = |article: u32, position: Option<usize>| {
            let mut item = json!({"article_id": article_id(article), "price": self.shop().article(article).price});
            if let (Some(position), Some(recommendation)) = (position, &shown.recommendation) {
                item["position"] = (position + 1).into();
                item["recommendation_id"] = recommendation.as_str().into();
            }
            item
        };
        let seen =
            shown.list.iter().enumerate().map(|(position, &article)| item(article, Some(position)));
        let mut events = vec![("impression", seen.collect::<Vec<_>>())];
        let acted = |act: Act| visit.deeds.iter().filter(move |deed| deed.act == act);
        for deed in acted(Act::Click) {
            let kind = if deed.position.is_some() { "click" } else { "view" };
            events.push((kind, vec![item(deed.article, deed.position)]));
        }
        let bought = acted(Act::Purchase).map(|deed| {
            let mut item = item(deed.article, deed.position);
            item["line"] = article_id(deed.article).into();
            item
        });
        events.push(("purchase", bought.collect()));
        let events = events.into_iter().filter(|(_, items)| !items.is_empty()).enumerate();
        let events: Vec<Value> = events
            .map(|(number, (kind, items))| {
                let at = Timestamp(visitor.at.0 + number as u32).to_string();
                let customer = customer_id(visitor.customer);
                let id = format!("{customer}-{}-{number}", visitor.day);
                let mut event =
                    json!({"event_id": id, "type": kind, "at": at, "customer_id": customer, "items": items});
                if kind == "purchase" {
                    event["order_id"] = order_id(visitor.customer, visitor.day).into();
                }
                event
            })
            .collect();
        tell(server, events)
    }

    /// Sends back what is due.
    fn send_back(&mut self, day: Day, record: &mut DayRecord) -> Result<(), SimulationError> {
        let due: Vec<Return> = self.returns.extract_if(.., |bought| bought.due <= day).collect();
        let mut events = Vec::new();
        for Return { customer, article, bought, .. } in due {
            record.returns += 1;
            self.households[customer].returns(article, self.told.shop.article(article));
            let (order, article) = (order_id(customer, bought), article_id(article));
            events.push(json!({
                "event_id": format!("return-{order}-{article}"), "type": "return", "order_id": order,
                "at": self.told.visit(day, 0, 1).to_string(), "customer_id": customer_id(customer),
                "items": [{"article_id": article, "line": article}],
            }));
        }
        match self.listener() {
            Some(server) if !events.is_empty() => {
                events.chunks(500).try_for_each(|part| tell(server, part.to_vec()))
            }
            _ => Ok(()),
        }
    }

    /// Puts the articles of the day on sale, and takes others off it.
    fn change_assortment(&self, day: Day) -> Result<(), SimulationError> {
        let Some(server) = &self.server else { return Ok(()) };
        let articles = self.shop().assortment.articles.iter().enumerate();
        let new = articles.filter(|(_, article)| article.sale.start == day);
        let new: Vec<Value> = new.map(|(number, _)| self.told.article(number as u32)).collect();
        if !new.is_empty() {
            server.admin.post("/admin/v1/articles", &json!({"articles": new}))?;
        }
        self.withdraw(|gone| gone == day)
    }

    /// Makes articles unavailable by the day from which they are not on sale.
    fn withdraw(&self, which: impl Fn(Day) -> bool) -> Result<(), SimulationError> {
        let Some(server) = &self.server else { return Ok(()) };
        let articles = self.shop().assortment.articles.iter().enumerate();
        let gone = articles.filter(|(_, article)| which(article.sale.end));
        let gone: Vec<String> = gone.map(|(number, _)| article_id(number as u32)).collect();
        for ids in gone.chunks(1_000) {
            let change = json!({"article_ids": ids, "available": false});
            server.admin.post("/admin/v1/articles/availability", &change)?;
        }
        Ok(())
    }
}

fn order_id(customer: usize, day: Day) -> String {
    format!("o-{}-{day}", customer_id(customer))
}

/// Every event of a simulated shop is good: one that is not taken is a fault.
fn tell(server: &Server, events: Vec<Value>) -> Result<(), SimulationError> {
    let told = events.len();
    let answer = server.public.post("/v1/events", &json!({"events": events}))?;
    match answer["accepted"].as_u64() == Some(told as u64) {
        true => Ok(()),
        false => Err(SimulationError::NotTaken {
            answer: answer.to_string().chars().take(600).collect(),
        }),
    }
}
