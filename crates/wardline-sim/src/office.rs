//! The back office's systems: purchasing, people, money. One machine serves them all; what each system is comes as a
//! table of duties, so that a further one is a table and some functions, not a further server.
//!
//! A duty is a method, a path, and a function from what was asked and what is known to what is answered. Everything
//! else is done here, once: faults, idempotency keys, the count of effects, and what the system then tells by itself.

mod books;
mod courier;
mod serve;

pub(crate) use books::{Books, Doc};
pub(crate) use courier::{Courier, Post};
pub use courier::{Sent, SentReport, SentState};
pub(crate) use serve::routes;

use crate::rehearsal::{Case, Picks};
use crate::{Dice, dates};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use std::time::Duration;

/// One system of the back office.
#[derive(Debug)]
pub(crate) struct Office {
    /// Its name in the example estate.
    pub(crate) system: &'static str,
    /// Its port, counted from the admin listener's.
    pub(crate) place: u16,
    pub(crate) duties: &'static [Duty],
    /// How it says no.
    pub(crate) refuse: fn(StatusCode, &str, &[String]) -> Response,
    /// What it knows from the beginning.
    pub(crate) furnish: fn(&mut Books),
}

/// How a duty is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// One thing that a system does.
#[derive(Debug)]
pub(crate) struct Duty {
    pub(crate) name: &'static str,
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    /// Whom it concerns: a parameter of the path, or a pointer into the body where it begins with `/`.
    pub(crate) subject: &'static str,
    /// Fields (pointers) without which it makes no sense.
    pub(crate) needs: &'static [&'static str],
    pub(crate) run: fn(&mut Room<'_>, &Ask) -> Reply,
}

/// What was asked.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Parameters of the path, then those behind the `?`.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Ask {
    /// A parameter; empty where there is none of this name.
    pub(crate) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// A text of the body; empty where it is missing.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body.text(pointer)
    }

    fn subject(&self, duty: &Duty) -> &str {
        if duty.subject.starts_with('/') {
            self.text(duty.subject)
        } else {
            self.param(duty.subject)
        }
    }
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It was only looked up: no effect.
    Read(Value),
    /// It took effect.
    Done(Value),
    /// It took effect and something new exists.
    Made(Value),
    /// It is refused, without effect.
    No(StatusCode, &'static str),
    /// The same, with a document that says more.
    Refused(StatusCode, Value),
}

impl Reply {
    /// Nobody knows this.
    pub(crate) const UNKNOWN: Self = Self::No(StatusCode::NOT_FOUND, "nobody has this number");
}

/// What a duty works with.
pub(crate) struct Room<'a> {
    pub(crate) system: &'static str,
    pub(crate) books: &'a mut Books,
    pub(crate) picks: &'a mut Picks,
    pub(crate) now: Timestamp,
    /// What is told because of this, each list in its order.
    pub(crate) posts: Vec<Vec<Post>>,
    /// Of what is still to be told, everything about these is left untold.
    pub(crate) withdrawn: Vec<String>,
    seed: u64,
    courier: &'a Courier,
}

impl Room<'_> {
    /// Dice that fall the same way for the same seed and subject, whatever else happens.
    pub(crate) fn dice(&self, subject: &str) -> Dice {
        Dice::new(self.seed).fork(number_of(subject))
    }

    /// A document of this system.
    pub(crate) fn find(&self, kind: &str, id: &str) -> Option<&Value> {
        self.books.find(self.system, kind, id)
    }

    /// Keeps a document of this system, in place of the one before.
    pub(crate) fn keep(&mut self, kind: &str, id: &str, doc: Value) {
        self.books.keep(self.system, kind, id, doc);
    }

    /// Follows a case to its end.
    pub(crate) fn open(&mut self, case: Case) {
        if !self.picks.cases.open(case) {
            self.picks.overflowed += 1;
        }
    }

    /// How long a delay is at this speed.
    pub(crate) fn pace(&self, after: Duration) -> Duration {
        self.courier.pace(after)
    }

    /// Now, as a text.
    pub(crate) fn instant(&self) -> String {
        dates::instant(self.now)
    }

    /// Today, or a day later or earlier.
    pub(crate) fn day(&self, later: i64) -> String {
        dates::day(self.now, later).to_string()
    }

    /// Tells one thing after a while.
    pub(crate) fn tell(
        &mut self,
        path: &'static str,
        key: String,
        about: &str,
        after: Duration,
        body: Value,
    ) {
        let post = Post {
            from: self.system,
            path,
            key,
            about: about.to_owned(),
            after,
            body,
        };
        self.posts.push(vec![post]);
    }
}

/// A number that a text always has (FNV-1a): the same in every release, as seeds have to be.
pub(crate) fn number_of(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// What the whole back office shares.
#[derive(Debug)]
pub(crate) struct BackOffice {
    pub(crate) state: Mutex<State>,
    pub(crate) courier: Courier,
    pub(crate) seed: u64,
}

/// What is known and what was chosen, under one lock: an effect and what follows from it belong together.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) books: Books,
    pub(crate) picks: Picks,
}

impl BackOffice {
    pub(crate) fn new(offices: &[&Office], courier: Courier, seed: u64) -> Self {
        let mut books = Books::default();
        for office in offices {
            (office.furnish)(&mut books);
        }
        let picks = Picks::default();
        Self {
            state: Mutex::new(State { books, picks }),
            courier,
            seed,
        }
    }

    /// Works on what is known, and then tells what follows.
    pub(crate) fn work<T>(&self, system: &'static str, what: impl FnOnce(&mut Room<'_>) -> T) -> T {
        let (result, posts) = {
            let State { books, picks } = &mut *self.state.lock();
            let mut room = Room {
                system,
                books,
                picks,
                now: Timestamp::now(),
                posts: Vec::new(),
                withdrawn: Vec::new(),
                seed: self.seed,
                courier: &self.courier,
            };
            let result = what(&mut room);
            for about in room.withdrawn {
                self.courier.withdraw(about);
            }
            (result, room.posts)
        };
        for letters in posts {
            self.courier.send(letters);
        }
        result
    }
}
