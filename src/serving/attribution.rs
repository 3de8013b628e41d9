//! Attribution without a write an answer: every answer has a signed `recommendation_id` that holds
//! what it was, and an event that names it is checked against it.
//!
//! The id is readable by whoever sees the answer, so it holds nothing of the person who asked. It
//! holds the moment, the placement or route, model and version, the sources, and of each of the
//! first [`MOST_ARTICLES`] articles a short hash and its source. `HMAC-SHA256`, cut to 16 bytes,
//! says that this server (or a replica with the same database) made it.

use crate::{
    domain::{ArticleId, Timestamp},
    store::Origin,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Articles of an answer that an id tells of: those behind them are seldom looked at.
pub const MOST_ARTICLES: usize = 100;
/// Longest id that is read.
pub const LONGEST_ID: usize = 2_048;

const VERSION: u8 = 1;
const SIGNATURE: usize = 16;

/// An answer as its id tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<'a> {
    /// A placement, or the path of a route.
    pub route: &'a str,
    pub model: &'a str,
    pub version: &'a str,
    pub answered: Timestamp,
    /// Articles of the whole list before these.
    pub offset: usize,
    /// Articles and their sources, in order.
    pub articles: Vec<(&'a str, &'static str)>,
}

/// Why an event does not belong to the answer that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unattributed {
    #[error("`recommendation_id` is none that this server gave; send it as it was answered")]
    Forged,
    #[error("the answer that `recommendation_id` names does not hold the article")]
    NotInList,
}

/// Makes ids and reads them.
#[derive(Clone)]
pub struct Signer {
    key: [u8; 32],
}

impl Signer {
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The id of an answer.
    pub fn sign(&self, told: &Told<'_>) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(told.answered.0.to_le_bytes());
        // Tells apart equal answers of one second.
        bytes.extend(rand::random::<[u8; 4]>());
        for text in [told.route, told.model, told.version] {
            put_text(&mut bytes, text);
        }
        let told_of = &told.articles[..told.articles.len().min(MOST_ARTICLES)];
        let mut sources: Vec<&str> = Vec::new();
        for (_, source) in told_of {
            if !sources.contains(source) {
                sources.push(source);
            }
        }
        bytes.push(sources.len() as u8);
        sources.iter().for_each(|source| put_text(&mut bytes, source));
        bytes.extend(u16::try_from(told.offset).unwrap_or(u16::MAX).to_le_bytes());
        bytes.push(told_of.len() as u8);
        for (article, source) in told_of {
            bytes.extend(article_hash(article));
            bytes.push(sources.iter().position(|name| name == source).unwrap_or_default() as u8);
        }
        let signature = self.signature(&bytes);
        bytes.extend(signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where an article of an event comes from.
    ///
    /// # Errors
    /// When the id is no id of ours, or of an answer without the article.
    pub fn origin(&self, id: &str, article: &ArticleId) -> Result<Origin, Unattributed> {
        let bytes = URL_SAFE_NO_PAD.decode(id).map_err(|_| Unattributed::Forged)?;
        let at = bytes.len().checked_sub(SIGNATURE).ok_or(Unattributed::Forged)?;
        let (content, signature) = bytes.split_at(at);
        let mut mac = self.mac();
        mac.update(content);
        // In constant time.
        mac.verify_truncated_left(signature).map_err(|_| Unattributed::Forged)?;
        // What is signed was written by `sign`, so a part that is missing is a version of the
        // future.
        let list = Sha256::digest(content)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        find(&mut Reader(content), article, list)
            .ok_or(Unattributed::Forged)?
            .ok_or(Unattributed::NotInList)
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.key)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of every length"))
    }

    fn signature(&self, bytes: &[u8]) -> [u8; SIGNATURE] {
        let mut mac = self.mac();
        mac.update(bytes);
        let mut signature = [0; SIGNATURE];
        signature.copy_from_slice(&mac.finalize().into_bytes()[..SIGNATURE]);
        signature
    }
}

/// The article's place in the answer; inside `None` where it has none.
fn find(reader: &mut Reader<'_>, article: &ArticleId, list: String) -> Option<Option<Origin>> {
    if reader.byte()? != VERSION {
        return None;
    }
    let answered = Timestamp(u32::from_le_bytes(reader.array()?));
    let _: [u8; 4] = reader.array()?;
    let (route, model, version) = (reader.text()?, reader.text()?, reader.text()?);
    let sources = (0..reader.byte()?).map(|_| reader.text()).collect::<Option<Vec<_>>>()?;
    let offset = u16::from_le_bytes(reader.array()?);
    let wanted = article_hash(article.as_str());
    for place in 1..=u16::from(reader.byte()?) {
        let hash: [u8; 4] = reader.array()?;
        let source = usize::from(reader.byte()?);
        if hash == wanted {
            let position = i16::try_from(offset.saturating_add(place)).unwrap_or(i16::MAX);
            let source = sources.get(source)?.clone();
            return Some(Some(Origin { list, route, model, version, source, position, answered }));
        }
    }
    Some(None)
}

/// A text of at most 255 bytes: what is longer is cut between two characters.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let end = text.floor_char_boundary(text.len().min(usize::from(u8::MAX)));
    bytes.push(end as u8);
    bytes.extend(&text.as_bytes()[..end]);
}

fn article_hash(id: &str) -> [u8; 4] {
    let digest = Sha256::digest(id.as_bytes());
    [digest[0], digest[1], digest[2], digest[3]]
}

/// What is left of an id.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ArticleId {
        ArticleId::parse(text).unwrap()
    }

    fn told() -> Told<'static> {
        Told {
            route: "home",
            model: "shop",
            version: "20260131T120000000Z-1a2b3c4d",
            answered: Timestamp(1_700_000_000),
            offset: 12,
            articles: vec![("a", "model"), ("b", "buy_again"), ("c", "model")],
        }
    }

    #[test]
    fn an_article_is_found_with_its_place_and_source() {
        let signer = Signer::new([7; 32]);
        let token = signer.sign(&told());
        assert!(token.len() < 160, "{} characters", token.len());
        let origin = signer.origin(&token, &id("b")).unwrap();
        assert_eq!((origin.route.as_str(), origin.model.as_str()), ("home", "shop"));
        assert_eq!((origin.source.as_str(), origin.position), ("buy_again", 14));
        assert_eq!(origin.answered, Timestamp(1_700_000_000));
        assert_eq!(signer.origin(&token, &id("c")).unwrap().list, origin.list);
        assert_eq!(signer.origin(&token, &id("d")), Err(Unattributed::NotInList));
    }

    #[test]
    fn equal_answers_have_different_ids() {
        let signer = Signer::new([7; 32]);
        let lists = [(); 2].map(|()| signer.origin(&signer.sign(&told()), &id("a")).unwrap().list);
        assert_ne!(lists[0], lists[1]);
    }

    #[test]
    fn what_was_not_signed_is_refused() {
        let signer = Signer::new([7; 32]);
        let token = signer.sign(&told());
        let other = Signer::new([8; 32]).sign(&told());
        for bad in ["", "a", "!!", &token[1..], &token[..token.len() - 4], &other] {
            assert_eq!(signer.origin(bad, &id("a")), Err(Unattributed::Forged), "{bad}");
        }
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(signer.origin(&changed, &id("a")), Err(Unattributed::Forged), "byte {at}");
        }
    }

    #[test]
    fn long_lists_and_names_are_cut() {
        let signer = Signer::new([7; 32]);
        let names: Vec<String> = (0..500).map(|n| format!("article {n}")).collect();
        let route = "ü".repeat(200);
        let articles = names.iter().map(|name| (name.as_str(), "model")).collect();
        let token = signer.sign(&Told { route: &route, articles, ..told() });
        assert!(token.len() <= LONGEST_ID, "{} characters", token.len());
        assert_eq!(signer.origin(&token, &id("article 99")).unwrap().position, 112);
        assert_eq!(signer.origin(&token, &id("article 100")), Err(Unattributed::NotInList));
    }
}
