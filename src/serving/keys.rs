//! Keys: who may do what.
//!
//! A secret is 256 random bits, so a plain SHA-256 of it is kept: nobody can guess one from its
//! hash, which a slow hash would be needed for with passwords. The loaded keys follow the database;
//! while it is away the last ones hold.

use super::ServeError;
use crate::store::{KeyRecord, Store};
use arc_swap::ArcSwap;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Mutex;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Ask for recommendations and articles on the public listener.
    Recommend,
    /// See reasons that tell what a customer bought.
    ReadPurchases,
    /// Change articles; nothing can be read.
    Write,
    /// See, try and change placements.
    Placements,
    /// Tell events; nothing can be read. A key for this alone may stand in a page that everybody
    /// sees.
    Events,
    /// Change, merge, erase and export customers.
    Customers,
    /// Read the state of the server, its metrics and the versions of its models.
    Monitor,
    /// Everything, models and keys included.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 8] = [
        Self::Recommend,
        Self::ReadPurchases,
        Self::Write,
        Self::Placements,
        Self::Events,
        Self::Customers,
        Self::Monitor,
        Self::Admin,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Recommend => "recommend",
            Self::ReadPurchases => "read-purchases",
            Self::Write => "write",
            Self::Placements => "placements",
            Self::Events => "events",
            Self::Customers => "customers",
            Self::Monitor => "monitor",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no scope `{text}`; scopes are {names}")
        })
    }
}

/// Who asks, and what they may do. Every decision about permission is [`Caller::may`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name of the key; `None` without one.
    pub name: Option<Arc<str>>,
    scopes: Arc<[Scope]>,
    /// Most requests in a second; `None` for the limit of the configuration.
    pub requests_per_second: Option<u32>,
}

impl Caller {
    /// The name of the key that the configuration gives.
    pub const CONFIGURED: &'static str = "admin.key";

    /// Somebody without a key, on a public listener that wants none.
    pub fn anonymous() -> Self {
        Self { name: None, scopes: Arc::new([Scope::Recommend]), requests_per_second: None }
    }

    /// Whoever has the key that the configuration gives.
    pub fn operator() -> Self {
        let name = Some(Self::CONFIGURED.into());
        Self { name, scopes: Arc::new([Scope::Admin]), requests_per_second: None }
    }

    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| *held == scope || *held == Scope::Admin)
    }

    /// Whether it may do this and nothing else.
    pub fn may_only(&self, scope: Scope) -> bool {
        self.scopes.iter().all(|held| *held == scope) && self.may(scope)
    }

    fn of(record: &KeyRecord) -> Self {
        // A scope of a later version permits nothing here.
        let scopes = record.scopes.iter().filter_map(|name| name.parse().ok()).collect();
        let KeyRecord { name, requests_per_second, .. } = record;
        Self { name: Some(name.as_str().into()), scopes, requests_per_second: *requests_per_second }
    }
}

/// The keys in use.
#[derive(Debug, Default)]
pub(super) struct Keys {
    by_hash: ArcSwap<HashMap<[u8; 32], Caller>>,
    /// Whether they were read at all.
    read: AtomicBool,
    /// Revision of the keys that are loaded; `None`: they were never read. Locked while they are
    /// read, so that an older reading never replaces a newer one.
    followed: Mutex<Option<i64>>,
}

impl Keys {
    /// Whose secret it is.
    pub(super) fn find(&self, secret: &[u8]) -> Option<Caller> {
        self.by_hash.load().get(&hash(secret)).cloned()
    }

    /// Whether they were read at all: before that, no key is known and none is wrong.
    pub(super) fn are_read(&self) -> bool {
        self.read.load(Ordering::Acquire)
    }

    /// Loads the keys again if `revision` is another than before.
    ///
    /// # Errors
    /// When the database cannot be read; the last keys hold.
    pub(super) async fn follow(&self, store: &dyn Store, revision: i64) -> Result<(), ServeError> {
        let mut followed = self.followed.lock().await;
        if *followed == Some(revision) {
            return Ok(());
        }
        let records = store.keys().await?;
        let live = records.iter().filter(|record| record.withdrawn_at.is_none());
        self.by_hash
            .store(Arc::new(live.map(|record| (record.hash, Caller::of(record))).collect()));
        self.read.store(true, Ordering::Release);
        *followed = Some(revision);
        Ok(())
    }
}

/// The hash under which the database knows a secret.
pub fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// A new secret. The prefix lets scanners of repositories and logs know it for what it is.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("vitrine_{digits}"))
}

/// Why a text cannot name a key; `None` where it can.
pub fn name_problem(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
        return Some("the name of a key has 1 to 64 letters, digits, `-`, `_` or `.`".into());
    }
    (name == Caller::CONFIGURED)
        .then(|| format!("`{name}` is the key of the configuration; choose another name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scopes: &[Scope]) -> Caller {
        Caller { scopes: scopes.into(), ..Caller::anonymous() }
    }

    #[test]
    fn a_key_may_do_what_its_scopes_say_and_an_admin_everything() {
        for scope in Scope::ALL {
            assert!(caller(&[Scope::Admin]).may(scope) && Caller::operator().may(scope));
            assert_eq!(Caller::anonymous().may(scope), scope == Scope::Recommend);
            for other in Scope::ALL.into_iter().filter(|other| *other != Scope::Admin) {
                assert_eq!(caller(&[other]).may(scope), scope == other);
            }
            assert_eq!(scope.name().parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
        }
        assert!(!caller(&[]).may(Scope::Recommend));
        assert!("reed".parse::<Scope>().unwrap_err().contains("read-purchases"));
    }

    #[test]
    fn secrets_differ_and_say_what_they_are() {
        let (a, b) = (new_secret().unwrap(), new_secret().unwrap());
        assert!(a != b && a.starts_with("vitrine_") && a.len() == 72, "{a}");
        assert_ne!(hash(a.as_bytes()), hash(b.as_bytes()));
    }

    #[test]
    fn names_are_checked() {
        for good in ["shop-frontend", "pim_2.eu", "a"] {
            assert_eq!(name_problem(good), None);
        }
        for bad in ["", "a b", "ä", &"x".repeat(65), "admin.key"] {
            assert!(name_problem(bad).is_some(), "{bad}");
        }
    }

    #[tokio::test]
    async fn no_key_is_wrong_before_the_keys_were_read() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("shop.sqlite").display());
        let options = crate::store::StoreOptions::default();
        crate::store::migrate(&url, &options).await.unwrap();
        let store = crate::store::connect(&url, &options).await.unwrap();
        let scopes = ["events".to_owned()];
        let key = crate::store::NewKey {
            name: "page",
            hash: hash(b"secret"),
            scopes: &scopes,
            requests_per_second: None,
        };
        store.add_key(&key).await.unwrap();
        let keys = Keys::default();
        assert!(!keys.are_read());
        // What a server believes of the database before it has asked.
        keys.follow(&*store, crate::store::Revisions::default().keys).await.unwrap();
        assert!(
            keys.are_read()
                && keys.find(b"secret").is_some_and(|caller| caller.may_only(Scope::Events))
        );
    }
}
