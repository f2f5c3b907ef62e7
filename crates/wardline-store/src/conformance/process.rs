//! Short words for cases about processes.

use super::build::{World, key, sealed};
use crate::CommitListener;
use crate::change::{Acceptance, Cause, Change, NewDelivery, Outcome};
use crate::process::{
    Advance, Advanced, CallRef, History, InstanceRow, Mail, MailId, MailTo, NewMail, NewTask,
    NewTimer, NewWait, Phase, Which,
};
use parking_lot::Mutex;
use std::time::Duration;
use wardline_core::{BlindIndex, Id, InstanceId, Sym, Timestamp};

/// How long mail of these cases is kept.
pub(super) const KEPT: Duration = Duration::from_secs(3_600);

impl World {
    /// The number of a name.
    pub(super) async fn name(&self, name: &str) -> Sym {
        self.store().intern(name).await.expect("names are taken")
    }

    /// An advance of an instance that changes nothing but its revision.
    pub(super) fn advance(&self, which: Which) -> Advance {
        Advance {
            lease: self.store().lease(),
            which,
            definition: self.flow,
            phase: Phase::Running,
            status: None,
            step: Some(self.kind),
            note: None,
            owner: None,
            facility: None,
            due: None,
            state: sealed("state"),
            summary: None,
            take: Vec::new(),
            fire: Vec::new(),
            unwait: Vec::new(),
            wait: Vec::new(),
            unset: Vec::new(),
            set: Vec::new(),
            answer: Vec::new(),
            ask: Vec::new(),
            withdraw: Vec::new(),
            follow: None,
            history: Vec::new(),
        }
    }

    /// An instance that begins, of the process that all cases use.
    pub(super) fn begin(&self, value: i64) -> Advance {
        self.advance(Which::New {
            process: self.source,
            key: key(value),
            again: true,
        })
    }

    /// An instance that goes on from how it stands.
    pub(super) async fn on(&self, id: InstanceId) -> Advance {
        let row = self.instance(id).await;
        Advance {
            phase: row.phase,
            status: row.status,
            ..self.advance(Which::Existing {
                id,
                revision: row.revision,
                reopen: false,
            })
        }
    }

    pub(super) async fn instance(&self, id: InstanceId) -> InstanceRow {
        let row = self.store().instance(id).await.expect("reads");
        row.expect("the instance is there")
    }

    pub(super) async fn try_advance(&self, advance: Advance) -> Advanced {
        match &self.commit(vec![Change::Advance(Box::new(advance))]).await[..] {
            [Outcome::Advanced(advanced)] => *advanced,
            other => panic!("an advance became {other:?}"),
        }
    }

    /// An advance that must be done; the instance, and whether mail is there.
    pub(super) async fn advanced(&self, advance: Advance) -> (InstanceId, bool) {
        match self.try_advance(advance).await {
            Advanced::Done { instance, mail, .. } => (instance, mail),
            Advanced::Stale => panic!("a sound advance was stale"),
        }
    }

    /// An instance that has begun.
    pub(super) async fn begun(&self, value: i64) -> InstanceId {
        self.advanced(self.begin(value)).await.0
    }

    /// An instance that has begun and asked billing for something under a number; with the
    /// delivery that carries it out.
    pub(super) async fn calling(&self, value: i64, number: u32) -> (InstanceId, Id) {
        let mut advance = self.begin(value);
        advance.follow = Some(Box::new(self.call(number)));
        match self.try_advance(advance).await {
            Advanced::Done {
                instance,
                first: Some(first),
                ..
            } => (instance, first.offset(1)),
            other => panic!("a call became {other:?}"),
        }
    }

    /// A message with a delivery to billing that carries out a call.
    pub(super) fn call(&self, number: u32) -> Acceptance {
        Acceptance {
            messages: vec![self.message("call")],
            deliveries: vec![NewDelivery {
                call: Some(CallRef {
                    instance: None,
                    number,
                }),
                ..self.delivery(0, self.billing)
            }],
            ..Acceptance::default()
        }
    }

    /// An event that somebody may wait for.
    pub(super) fn event_for(&self, value: i64, digest: i64) -> Acceptance {
        Acceptance {
            messages: vec![self.message("raw"), self.event("event", Cause::Ordinal(0))],
            mail: vec![NewMail {
                correlator: self.kind,
                key: BlindIndex(value),
                ordinal: 1,
                digest,
                until: self.now().after(KEPT),
            }],
            ..Acceptance::default()
        }
    }

    pub(super) fn wait_for(&self, number: u32, value: i64) -> NewWait {
        NewWait {
            number,
            correlator: self.kind,
            key: BlindIndex(value),
            seen: MailId(0),
        }
    }

    pub(super) fn timer(&self, number: u32, after_ms: u64) -> NewTimer {
        NewTimer {
            number,
            due: self.now().after(Duration::from_millis(after_ms)),
        }
    }

    pub(super) fn question(&self, number: u32, role: Sym) -> NewTask {
        NewTask {
            number,
            role,
            step: self.kind,
            due: None,
            body: sealed("what now?"),
        }
    }

    pub(super) async fn unread(&self) -> Vec<Mail> {
        self.store().unread(MailId(0), 1_000).await.expect("reads")
    }

    pub(super) async fn mail_of(&self, value: i64) -> Vec<MailId> {
        let mail = self
            .store()
            .mail_for(self.kind, BlindIndex(value), 1_000)
            .await
            .expect("reads");
        mail.iter().map(|mail| mail.id).collect()
    }

    pub(super) async fn waiting(&self, value: i64) -> Vec<(InstanceId, u32)> {
        let waiting = self
            .store()
            .waiting(self.kind, BlindIndex(value), 1_000)
            .await
            .expect("reads");
        waiting
            .iter()
            .map(|wait| (wait.instance, wait.number))
            .collect()
    }

    /// How many instances stand in a phase, by the writer's counts.
    pub(super) async fn counted(&self, phase: Phase) -> u64 {
        let counts = self.store().instance_counts().await.expect("reads");
        counts
            .iter()
            .filter(|count| count.phase == phase)
            .map(|count| count.count)
            .sum()
    }
}

/// For whom the mail is, where it is for an instance.
pub(super) fn ended(mail: &[Mail]) -> Vec<(InstanceId, u32, Id)> {
    let one = |mail: &Mail| match mail.to {
        MailTo::Instance {
            instance,
            call,
            delivery,
        } => Some((instance, call, delivery.0)),
        MailTo::Waiting { .. } => None,
    };
    mail.iter().filter_map(one).collect()
}

pub(super) fn line(step: &str, what: &str) -> History {
    History {
        step: step.into(),
        what: what.into(),
        text: String::new(),
    }
}

/// A listener that remembers mail and timers.
#[derive(Default)]
pub(super) struct Postman {
    pub(super) mail: Mutex<Vec<Mail>>,
    pub(super) timed: Mutex<Vec<Timestamp>>,
}

impl CommitListener for Postman {
    fn committed(&self, _: &[crate::Ready]) {}

    fn mailed(&self, mail: &[Mail]) {
        self.mail.lock().extend_from_slice(mail);
    }

    fn timed(&self, earliest: Timestamp) {
        self.timed.lock().push(earliest);
    }
}
