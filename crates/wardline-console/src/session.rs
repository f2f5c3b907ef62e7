//! Who is signed in. On the server, so that signing out ends it; bounded in number, in idle
//! time and in all (45 CFR 164.312(a)(2)(iii)); gone with the process, on purpose.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_access::people::Person;

/// People and programs that are signed in at the same time.
const MOST: usize = 1_024;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// Whoever holds the admin token, and with it the machine: asked for nothing further.
    Token,
    /// Somebody with roles.
    Person(Arc<Person>),
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// In the audit log.
    pub(crate) actor: String,
    pub(crate) who: Who,
    began: Instant,
    seen: Instant,
}

/// How a session came to its end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Idle,
    Longest,
    /// So many others came in.
    Crowded,
}

impl Ended {
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Idle => "idle for too long",
            Self::Longest => "signed in for long enough",
            Self::Crowded => "more people are signed in than the console remembers",
        }
    }
}

/// All of them, by name: not by the cookie itself.
pub(crate) struct Sessions {
    open: Mutex<HashMap<String, Session>>,
    idle: Duration,
    longest: Duration,
}

impl Sessions {
    pub(crate) fn new(idle: Duration, longest: Duration) -> Self {
        Self {
            open: Mutex::new(HashMap::new()),
            idle,
            longest,
        }
    }

    pub(crate) const fn idle(&self) -> Duration {
        self.idle
    }

    pub(crate) const fn longest(&self) -> Duration {
        self.longest
    }

    /// Signs somebody in. Where there is no more room, whoever was idle longest goes.
    pub(crate) fn begin(&self, name: String, actor: String, who: Who) -> Option<Session> {
        self.begin_at(Instant::now(), name, actor, who)
    }

    fn begin_at(&self, now: Instant, name: String, actor: String, who: Who) -> Option<Session> {
        let mut open = self.open.lock();
        let mut gone = None;
        if open.len() >= MOST {
            let oldest = open.iter().min_by_key(|(_, session)| session.seen);
            let oldest = oldest.map(|(name, _)| name.clone());
            gone = oldest.and_then(|name| open.remove(&name));
        }
        let session = Session {
            actor,
            who,
            began: now,
            seen: now,
        };
        open.insert(name, session);
        gone
    }

    /// The session, where it has not ended. `works`: whether a person did something, or only
    /// a page that stays up to date.
    pub(crate) fn get(&self, name: &str, works: bool) -> Option<Session> {
        self.get_at(Instant::now(), name, works)
    }

    fn get_at(&self, now: Instant, name: &str, works: bool) -> Option<Session> {
        let mut open = self.open.lock();
        let session = open.get_mut(name)?;
        if self.ended(session, now).is_some() {
            return None;
        }
        if works {
            session.seen = now;
        }
        Some(session.clone())
    }

    /// How long a session has still, if nobody touches it.
    pub(crate) fn left(&self, name: &str) -> Option<Duration> {
        let now = Instant::now();
        let open = self.open.lock();
        let session = open.get(name)?;
        let idle = (session.seen + self.idle).saturating_duration_since(now);
        let longest = (session.began + self.longest).saturating_duration_since(now);
        Some(idle.min(longest)).filter(|left| !left.is_zero())
    }

    fn ended(&self, session: &Session, now: Instant) -> Option<Ended> {
        if now.duration_since(session.began) >= self.longest {
            Some(Ended::Longest)
        } else if now.duration_since(session.seen) >= self.idle {
            Some(Ended::Idle)
        } else {
            None
        }
    }

    /// Signs somebody out.
    pub(crate) fn end(&self, name: &str) -> Option<Session> {
        self.open.lock().remove(name)
    }

    /// Signs a person out everywhere: what they may do has changed.
    pub(crate) fn end_person(&self, person: &str) -> usize {
        let mut open = self.open.lock();
        let before = open.len();
        open.retain(|_, session| !matches!(&session.who, Who::Person(one) if &*one.name == person));
        before - open.len()
    }

    /// Takes away those whose time is over.
    pub(crate) fn sweep(&self) -> Vec<(Session, Ended)> {
        self.sweep_at(Instant::now())
    }

    fn sweep_at(&self, now: Instant) -> Vec<(Session, Ended)> {
        let mut over = Vec::new();
        self.open.lock().retain(|_, session| {
            let ended = self.ended(session, now);
            over.extend(ended.map(|ended| (session.clone(), ended)));
            ended.is_none()
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn idle_and_long_sessions_end_and_looking_on_is_not_working() {
        let sessions = Sessions::new(15 * MINUTE, 600 * MINUTE);
        let start = Instant::now();
        sessions.begin_at(start, "a".into(), "user:anna".into(), Who::Token);
        let at = |minutes: u32| start + minutes * MINUTE;
        assert!(sessions.get_at(at(14), "a", false).is_some());
        assert!(
            sessions.get_at(at(15), "a", true).is_none(),
            "the look at 14 was a page's own"
        );
        assert_eq!(sessions.sweep_at(at(15))[0].1, Ended::Idle);
        assert!(sessions.sweep_at(at(15)).is_empty(), "told once");

        sessions.begin_at(start, "b".into(), "user:bert".into(), Who::Token);
        for minutes in (0..600).step_by(14) {
            assert!(sessions.get_at(at(minutes), "b", true).is_some());
        }
        assert!(sessions.get_at(at(600), "b", true).is_none());
        assert_eq!(sessions.sweep_at(at(600))[0].1, Ended::Longest);
    }

    #[test]
    fn there_is_an_end_to_how_many() {
        let sessions = Sessions::new(15 * MINUTE, 600 * MINUTE);
        let start = Instant::now();
        for n in 0..MOST {
            let now = start + Duration::from_millis(n as u64);
            let gone = sessions.begin_at(now, n.to_string(), n.to_string(), Who::Token);
            assert!(gone.is_none());
        }
        let now = start + MINUTE;
        let gone = sessions.begin_at(now, "more".into(), "more".into(), Who::Token);
        assert_eq!(gone.unwrap().actor, "0");
    }
}
