//! Alerts that were raised, and what people said to them.

use super::Alert;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Timestamp;

/// Alerts that are kept; the oldest goes first, one that was seen before one that was not.
const MOST: usize = 1_000;
/// Alerts of one client an hour; more are counted on the last one. Who holds a credential could
/// else write our log full from a thousand addresses.
const HOURLY: usize = 20;
const HOUR: Duration = Duration::from_secs(3_600);

/// An alert in the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// Its number, by which people name it.
    pub id: u64,
    /// What stands out.
    #[serde(flatten)]
    pub alert: Alert,
    /// Further ones of the same client and hour that are not told one by one.
    #[serde(default)]
    pub more: u64,
    /// Whether the client was refused because of it.
    #[serde(default)]
    pub quarantined: bool,
    /// Who looked at it.
    #[serde(default)]
    pub acknowledged: Option<Acknowledged>,
}

/// Who looked at an alert, and what they found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they say to it.
    pub reason: String,
}

/// All alerts, and the clients that are refused because of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    last: u64,
    raised: VecDeque<Raised>,
    /// Clients that are refused, and since when.
    #[serde(default)]
    held: BTreeMap<Arc<str>, Timestamp>,
}

impl Alerts {
    /// Writes an alert into the book. `None` where it is only counted, on the last one of the
    /// client.
    pub fn raise(&mut self, alert: Alert) -> Option<&Raised> {
        let recent = |raised: &&mut Raised| {
            raised.alert.client == alert.client && alert.at.since(raised.alert.at) < HOUR
        };
        let mut recent = self.raised.iter_mut().filter(recent);
        if let Some(last) = recent.next_back()
            && recent.count() + 1 >= HOURLY
        {
            last.more += 1;
            return None;
        }
        if self.raised.len() >= MOST {
            let seen = self
                .raised
                .iter()
                .position(|one| one.acknowledged.is_some());
            drop(self.raised.remove(seen.unwrap_or(0)));
        }
        self.last += 1;
        self.raised.push_back(Raised {
            id: self.last,
            alert,
            more: 0,
            quarantined: false,
            acknowledged: None,
        });
        self.raised.back()
    }

    /// All of them, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Raised> {
        self.raised.iter().rev()
    }

    /// How many nobody has looked at.
    pub fn open(&self) -> usize {
        let open = |raised: &&Raised| raised.acknowledged.is_none();
        self.raised.iter().filter(open).count()
    }

    /// Notes who looked at one and what they found; `None` where there is no such alert. What was
    /// said first stays.
    pub fn acknowledge(&mut self, id: u64, said: Acknowledged) -> Option<&Raised> {
        let raised = self.raised.iter_mut().find(|raised| raised.id == id)?;
        raised.acknowledged.get_or_insert(said);
        Some(raised)
    }

    /// Notes that a client is refused from now on, because of this alert if it was one; whether it
    /// was not so already.
    pub fn hold(&mut self, client: &Arc<str>, because: Option<u64>, now: Timestamp) -> bool {
        if let Some(id) = because
            && let Some(raised) = self.raised.iter_mut().find(|raised| raised.id == id)
        {
            raised.quarantined = true;
        }
        let new = !self.held.contains_key(client);
        self.held.entry(Arc::clone(client)).or_insert(now);
        new
    }

    /// Lets a client in again; whether it was refused.
    pub fn release(&mut self, client: &str) -> bool {
        self.held.remove(client).is_some()
    }

    /// Clients that are refused, and since when.
    pub fn held(&self) -> &BTreeMap<Arc<str>, Timestamp> {
        &self.held
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sign;
    use super::*;

    fn alert(client: &str, second: u64) -> Alert {
        Alert {
            client: client.into(),
            at: Timestamp(0).after(Duration::from_secs(second)),
            signs: vec![Sign::NewAddress {
                network: "192.0.2.0/24".to_owned(),
                known: 2,
            }],
        }
    }

    fn said() -> Acknowledged {
        Acknowledged {
            by: "user:anna".to_owned(),
            at: Timestamp(0),
            reason: "their new data centre".to_owned(),
        }
    }

    #[test]
    fn a_flood_of_one_client_is_counted_and_hides_nobody_else() {
        let mut book = Alerts::default();
        for second in 0..100 {
            book.raise(alert("loud", second));
        }
        assert_eq!(book.newest_first().count(), HOURLY);
        assert_eq!(book.newest_first().next().unwrap().more, 80);
        assert!(book.raise(alert("quiet", 100)).is_some());
        assert!(book.raise(alert("loud", 3_700)).is_some(), "an hour later");
    }

    #[test]
    fn what_nobody_looked_at_is_forgotten_last() {
        let mut book = Alerts::default();
        for n in 0..1_000 {
            book.raise(alert(&format!("c{n}"), 0)).unwrap();
        }
        assert_eq!(book.acknowledge(500, said()).unwrap().id, 500);
        assert!(book.acknowledge(5_000, said()).is_none());
        let again = Acknowledged {
            by: "user:bert".to_owned(),
            ..said()
        };
        let kept = book.acknowledge(500, again).unwrap();
        assert_eq!(kept.acknowledged, Some(said()), "the first word stays");
        assert_eq!(book.open(), 999);
        book.raise(alert("new", 1)).unwrap();
        assert!(book.newest_first().all(|raised| raised.id != 500));
        assert_eq!((book.open(), book.newest_first().count()), (1_000, 1_000));
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<Alerts>(&text).unwrap(), book);
    }

    #[test]
    fn who_is_held_stays_held_until_let_go() {
        let mut book = Alerts::default();
        let id = book.raise(alert("ghx", 0)).unwrap().id;
        let ghx: Arc<str> = "ghx".into();
        assert!(book.hold(&ghx, Some(id), Timestamp(5)));
        assert!(!book.hold(&ghx, None, Timestamp(9)));
        assert_eq!(book.held().get("ghx"), Some(&Timestamp(5)));
        assert!(book.newest_first().next().unwrap().quarantined);
        assert!(book.release("ghx") && !book.release("ghx"));
    }
}
