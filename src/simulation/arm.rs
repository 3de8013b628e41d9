//! One arm of the comparison: a way to choose lists, and the shop's customers as they become under it.

use super::{
    Plan, SimulationError,
    files::{Told, article_id, article_number, customer_id},
    history::{History, Purchase},
    household::Household,
    market::Day,
    record::{ArmRecord, DayRecord},
    server::{Place, Server},
    shop::{Moment, Shop},
    visit::{Act, Visit, best_list},
};
use crate::domain::Timestamp;
use serde_json::{Value, json};
use std::time::Instant;

/// Who chooses the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Chooser {
    /// A server that answers with what sells best
    Popularity,
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
            Self::Once => "once",
            Self::Loop => "loop",
            Self::Best => "best",
        }
    }

    pub(super) fn has_server(self) -> bool {
        self != Self::Best
    }

    pub(super) fn has_model(self) -> bool {
        matches!(self, Self::Once | Self::Loop)
    }
}

/// A list with the token by which events name it.
#[derive(Debug, Default)]
struct Shown {
    list: Vec<u32>,
    recommendation: Option<String>,
}

pub(super) struct Arm<'a> {
    pub chooser: Chooser,
    plan: &'a Plan,
    told: Told<'a>,
    place: Place,
    server: Option<Server>,
    households: Vec<Household>,
    /// Due returns: day, customer, article.
    returns: Vec<(Day, usize, u32)>,
    purchases: Vec<Purchase>,
    days: Vec<DayRecord>,
    nights: f64,
}

impl<'a> Arm<'a> {
    pub(super) fn new(chooser: Chooser, plan: &'a Plan, told: Told<'a>, history: &History, place: Place) -> Self {
        Self {
            chooser,
            plan,
            told,
            place,
            server: None,
            households: history.households.clone(),
            returns: Vec::new(),
            purchases: history.purchases.clone(),
            days: Vec::new(),
            nights: 0.0,
        }
    }

    fn shop(&self) -> &'a Shop {
        self.told.shop
    }

    pub(super) fn record(self) -> ArmRecord {
        ArmRecord { arm: self.chooser.name().to_owned(), days: self.days, nights: self.nights }
    }

    /// Starts the arm's server, with the model if the arm has one.
    pub(super) fn open(&mut self, model: Option<&Model>) -> Result<(), SimulationError> {
        if !self.chooser.has_server() {
            return Ok(());
        }
        let server = self.place.serve(self.chooser.name())?;
        if let Some(model) = model {
            model.activate(&server)?;
        } else if !server.wait_until_ready() {
            let log = self.place.at("server.log");
            return Err(SimulationError::NotListening { arm: self.chooser.name().to_owned(), seconds: 60, log });
        }
        self.server = Some(server);
        self.withdraw(|article_day| article_day <= 0)
    }

    /// A whole day: new articles in the morning, then visit after visit.
    pub(super) fn day(&mut self, day: Day) -> Result<(), SimulationError> {
        let mut record = DayRecord { day, ..DayRecord::default() };
        self.change_assortment(day)?;
        self.send_back(day, &mut record)?;
        let visitors: Vec<usize> = self.shop().visitors(day).collect();
        for (number, &customer) in visitors.iter().enumerate() {
            let at = self.told.visit(day, number, visitors.len());
            let shown = self.list(customer, day, at)?;
            let visit = self.told.shop.visit(customer, day, &shown.list, &mut self.households[customer]);
            record.add(self.told.shop, &shown.list, &visit);
            self.tell(customer, day, at, &shown, &visit)?;
            let bought = visit.deeds.iter().filter(|deed| deed.act == Act::Purchase).enumerate();
            self.purchases.extend(bought.map(|(order, deed)| Purchase { customer, article: deed.article, day, order }));
            self.returns.extend(visit.returns.into_iter().map(|(due, article)| (due, customer, article)));
        }
        self.days.push(record);
        Ok(())
    }

    /// After the last visit of a day.
    pub(super) fn night(&mut self, day: Day) -> Result<(), SimulationError> {
        let started = Instant::now();
        if self.server.is_some() {
            self.told.write(&self.place.at("shop"), day + 1, &self.purchases)?;
            let database = self.place.database();
            self.place.run("vitrine-server", &["import", "--data", "shop", "--database", &database])?;
            self.withdraw(|gone| gone <= day)?;
        }
        if self.chooser == Chooser::Loop {
            let model = Model::train(&self.place, self.plan, "shop")?;
            if let Some(server) = &self.server {
                model.activate(server)?;
            }
        }
        self.nights += started.elapsed().as_secs_f64();
        Ok(())
    }

    fn list(&self, customer: usize, day: Day, at: Timestamp) -> Result<Shown, SimulationError> {
        let k = self.plan.k;
        let Some(server) = &self.server else {
            let household = &self.households[customer];
            let moment = Moment { shop: self.told.shop, customer, household, day };
            return Ok(Shown { list: best_list(moment, k), recommendation: None });
        };
        let mut request = self.plan.recipe.clone();
        if self.chooser == Chooser::Popularity {
            request.insert("sources".to_owned(), json!([{"source": "popular"}]));
        }
        request.insert("customer_id".to_owned(), customer_id(customer).into());
        request.insert("k".to_owned(), k.into());
        request.insert("at".to_owned(), at.to_string().into());
        let answer = server.public.post("/v1/recommendations", &Value::Object(request))?;
        let ids = answer["items"].as_array().into_iter().flatten().filter_map(|item| item["article_id"].as_str());
        let recommendation = answer["recommendation_id"].as_str().map(str::to_owned);
        Ok(Shown { list: ids.filter_map(article_number).collect(), recommendation })
    }

    /// Tells the server what the shop's pages and back office see of a visit.
    fn tell(
        &self,
        customer: usize,
        day: Day,
        at: Timestamp,
        shown: &Shown,
        visit: &Visit,
    ) -> Result<(), SimulationError> {
        let _ = (customer, day, at, &shown.recommendation, visit);
        Ok(())
    }

    /// Sends back what is due.
    fn send_back(&mut self, day: Day, record: &mut DayRecord) -> Result<(), SimulationError> {
        let (due, later) = self.returns.drain(..).partition(|&(due, ..)| due <= day);
        self.returns = later;
        let due: Vec<(Day, usize, u32)> = due;
        for &(_, customer, number) in &due {
            record.returns += 1;
            self.households[customer].returns(number, self.told.shop.article(number));
            self.purchases.retain(|purchase| (purchase.customer, purchase.article) != (customer, number));
        }
        Ok(())
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

/// A bundle among an arm's models.
#[derive(Debug, Clone)]
pub(super) struct Model {
    name: String,
    version: String,
}

impl Model {
    /// Trains on `data`, as a shop does at night.
    pub(super) fn train(place: &Place, plan: &Plan, data: &str) -> Result<Self, SimulationError> {
        let config = plan.config.to_string_lossy();
        let train = ["train", "--data", data, "--config", &config, "--out", "models", "--runs", "runs"];
        let printed = place.run("vitrine-trainer", &train)?;
        let mut parts = printed.trim().rsplit('/');
        match (parts.next(), parts.next()) {
            (Some(version), Some(name)) => Ok(Self { name: name.to_owned(), version: version.to_owned() }),
            _ => Err(SimulationError::Input(format!("the trainer printed no bundle but `{}`", printed.trim()))),
        }
    }

    pub(super) fn activate(&self, server: &Server) -> Result<(), SimulationError> {
        let path = format!("/admin/v1/models/{}/activate", self.name);
        server.admin.post(&path, &json!({"version": self.version, "default": true})).map(|_| ())
    }
}
