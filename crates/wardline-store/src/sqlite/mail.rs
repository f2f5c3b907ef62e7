//! Mail: what has come for instances, from its recording until somebody took it.
//!
//! Mail is new until somebody has looked at it, however long that takes; then it is taken, or
//! kept for whoever will wait for it. What was taken stays until its time is over, because equal
//! mail may come again until then. The ends of deliveries cannot come twice and go sooner.
//!
//! Whether somebody waits is decided here and nowhere else: an advance that begins to wait and a
//! look that finds nobody waiting are both changes, so one of them always sees the other.

use super::rows;
use super::schema::internal;
use super::writer::Writer;
use crate::process::{Mail, MailId, MailTo, NewMail, NewWait, WaitRow};
use crate::query::CounterKind;
use rusqlite::{Connection, OptionalExtension};
use wardline_core::{BlindIndex, DeliveryId, Id, InstanceId, MessageId, Sym, Timestamp};

/// Columns of [`rows::mail`].
pub(super) const MAIL_COLUMNS: &str = "id, message, correlator, key, instance, call, delivery";
/// Name under which the highest id ever given is kept.
pub(super) const HIGH_MAIL: &str = "high_mail";
/// Old mail removed with each new one, so that it goes as fast as other comes.
const SWEEP: usize = 2;

/// A call of an instance that a delivery carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) instance: InstanceId,
    /// The instance's own number.
    pub(super) number: u32,
}

/// Ids of mail, and the mail of the transaction at hand for whoever listens.
#[derive(Debug)]
pub(super) struct Post {
    last: i64,
    /// As `last`, before the transaction at hand.
    committed: i64,
    told: Vec<Mail>,
}

impl Post {
    /// Continues where the file stands.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let highest: i64 = conn.query_row("SELECT coalesce(max(id), 0) FROM mail", [], |row| {
            row.get(0)
        })?;
        let last = highest.max(internal(conn, HIGH_MAIL)?.unwrap_or(0));
        Ok(Self {
            last,
            committed: last,
            told: Vec::new(),
        })
    }

    /// The highest id given so far.
    pub(super) const fn last(&self) -> i64 {
        self.last
    }

    /// What the listener is told.
    pub(super) fn told(&self) -> &[Mail] {
        &self.told
    }

    /// The listener was told.
    pub(super) fn announced(&mut self) {
        self.told.clear();
        self.told.shrink_to(4_096);
    }

    /// The transaction is durable.
    pub(super) const fn committed(&mut self) {
        self.committed = self.last;
    }

    /// The transaction never was.
    pub(super) fn rolled_back(&mut self) {
        self.last = self.committed;
        self.told.clear();
    }
}

impl Writer<'_> {
    /// Records an event of an acceptance that begins at `first`, unless equal mail is known.
    pub(super) fn post_event(&mut self, mail: &NewMail, first: Id) -> rusqlite::Result<()> {
        let known: bool = self.sql.mail_known.query_row(
            (mail.digest, mail.correlator.0, mail.key.0, self.now.0),
            |row| row.get(0),
        )?;
        if known {
            self.tally
                .count(CounterKind::MailDuplicate, mail.correlator, 1);
            return Ok(());
        }
        self.forget_mail(SWEEP)?;
        let to = MailTo::Waiting {
            correlator: mail.correlator,
            key: mail.key,
        };
        let message = MessageId(first.offset(mail.ordinal));
        self.post(to, message, Some((mail.digest, mail.until)))
    }

    /// Records that the delivery of a call has ended.
    pub(super) fn post_end(
        &mut self,
        call: Call,
        delivery: DeliveryId,
        message: MessageId,
    ) -> rusqlite::Result<()> {
        let to = MailTo::Instance {
            instance: call.instance,
            call: call.number,
            delivery,
        };
        self.post(to, message, None)
    }

    fn post(
        &mut self,
        to: MailTo,
        message: MessageId,
        known_by: Option<(i64, Timestamp)>,
    ) -> rusqlite::Result<()> {
        let id = self.post.last + 1;
        let (waiting, ended) = match to {
            MailTo::Waiting { correlator, key } => (Some((correlator.0, key.0)), None),
            MailTo::Instance {
                instance,
                call,
                delivery,
            } => (None, Some((instance.0.as_i64(), call, delivery.0.as_i64()))),
        };
        let statement = &mut self.sql.mail;
        statement.raw_bind_parameter(1, id)?;
        statement.raw_bind_parameter(2, message.0.as_i64())?;
        statement.raw_bind_parameter(3, waiting.map(|(correlator, _)| correlator))?;
        statement.raw_bind_parameter(4, waiting.map(|(_, key)| key))?;
        statement.raw_bind_parameter(5, known_by.map(|(digest, _)| digest))?;
        statement.raw_bind_parameter(6, ended.map(|(instance, ..)| instance))?;
        statement.raw_bind_parameter(7, ended.map(|(_, call, _)| call))?;
        statement.raw_bind_parameter(8, ended.map(|(.., delivery)| delivery))?;
        statement.raw_bind_parameter(9, known_by.map(|(_, until)| until.0))?;
        statement.raw_execute()?;
        self.post.last = id;
        if self.heard {
            self.post.told.push(Mail {
                id: MailId(id),
                to,
                message,
            });
        }
        Ok(())
    }

    /// Whether all of it is there, and for this instance or for whoever waits.
    pub(super) fn is_there(
        &self,
        mail: &[MailId],
        instance: Option<InstanceId>,
    ) -> rusqlite::Result<bool> {
        let mut find = self
            .conn
            .prepare_cached("SELECT instance FROM mail WHERE id = ?1 AND state <= 1")?;
        for MailId(id) in mail {
            let found: Option<Option<i64>> = find.query_row([id], |row| row.get(0)).optional()?;
            match found {
                Some(None) => {}
                Some(to) if to == instance.map(|own| own.0.as_i64()) => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Takes mail; says which event it was. That of ended deliveries is not remembered: it cannot
    /// come again.
    pub(super) fn take(&mut self, MailId(id): MailId) -> rusqlite::Result<Option<i64>> {
        self.conn
            .prepare_cached(
                "UPDATE mail SET state = 2, until = CASE WHEN correlator IS NULL THEN ?2 ELSE until END
                 WHERE id = ?1 AND state <= 1
                 RETURNING CASE WHEN call IS NULL THEN message END",
            )?
            .query_row((id, self.now.0), |row| row.get(0))
            .optional()
            .map(Option::flatten)
    }

    /// Keeps mail for whoever will wait for it, unless somebody does who is not known to be
    /// unwilling.
    pub(super) fn keep(
        &mut self,
        MailId(id): MailId,
        unwilling: &[WaitRow],
    ) -> rusqlite::Result<Option<WaitRow>> {
        let waits: Vec<WaitRow> = self
            .conn
            .prepare_cached(
                "SELECT w.instance, w.number FROM mail AS m JOIN wait AS w
                     ON w.correlator = m.correlator AND w.key = m.key
                 WHERE m.id = ?1 AND m.state <= 1 ORDER BY w.instance, w.number LIMIT ?2",
            )?
            .query_map((id, unwilling.len() as i64 + 1), rows::wait)?
            .collect::<rusqlite::Result<_>>()?;
        let waits = waits.into_iter().find(|wait| !unwilling.contains(wait));
        if waits.is_none() {
            self.conn
                .prepare_cached("UPDATE mail SET state = 1 WHERE id = ?1 AND state = 0")?
                .execute([id])?;
        }
        Ok(waits)
    }

    /// Mail that was kept because nobody waited, while this wait was on its way here: it must be
    /// looked at again, also where nobody lives to do it at once.
    pub(super) fn renew_mail(&mut self, wait: &NewWait) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "UPDATE mail SET state = 0
                 WHERE correlator IS NOT NULL AND state = 1 AND correlator = ?1 AND key = ?2
                     AND until > ?3 AND id > ?4",
            )?
            .execute((wait.correlator.0, wait.key.0, self.now.0, wait.seen.0))?;
        Ok(())
    }

    /// Puts mail aside for good.
    pub(super) fn discard(&mut self, mail: MailId) -> rusqlite::Result<()> {
        self.take(mail).map(drop)
    }

    /// Removes mail whose time is over and that somebody has looked at, at most so much; says
    /// how much it was.
    pub(super) fn forget_mail(&mut self, most: usize) -> rusqlite::Result<usize> {
        let old: Vec<(i64, u8, Option<u32>)> = self
            .conn
            .prepare_cached(
                "SELECT id, state, correlator FROM mail INDEXED BY mail_until
                 WHERE state >= 1 AND until IS NOT NULL AND until <= ?1 ORDER BY until LIMIT ?2",
            )?
            .query_map((self.now.0, most as i64), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        for (id, state, correlator) in &old {
            if let (1, Some(correlator)) = (state, correlator) {
                self.tally
                    .count(CounterKind::MailExpired, Sym(*correlator), 1);
            }
            self.conn
                .prepare_cached("DELETE FROM mail WHERE id = ?1")?
                .execute([id])?;
        }
        Ok(old.len())
    }
}

/// Mail that nobody has taken for a correlator and key.
pub(super) fn mail_for(
    conn: &Connection,
    correlator: Sym,
    key: BlindIndex,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Mail>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {MAIL_COLUMNS} FROM mail INDEXED BY mail_waits
         WHERE correlator IS NOT NULL AND state <= 1 AND correlator = ?1 AND key = ?2
             AND (state = 0 OR until > ?3)
         ORDER BY id LIMIT ?4"
    ))?;
    let limit = limit.min(super::read::MAX_ROWS) as i64;
    let found = statement.query_map((correlator.0, key.0, now.0, limit), rows::mail)?;
    found.collect()
}

/// Mail that nobody has looked at.
pub(super) fn unread(
    conn: &Connection,
    MailId(after): MailId,
    limit: usize,
) -> rusqlite::Result<Vec<Mail>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {MAIL_COLUMNS} FROM mail INDEXED BY mail_new
         WHERE state = 0 AND id > ?1 ORDER BY id LIMIT ?2"
    ))?;
    let limit = limit.min(super::read::MAX_ROWS) as i64;
    let found = statement.query_map((after, limit), rows::mail)?;
    found.collect()
}
