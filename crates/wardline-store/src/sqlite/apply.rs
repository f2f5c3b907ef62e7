//! One call: looked at as a whole, then applied change by change.
//!
//! Whatever could be refused is refused before the first row of the call is written, since
//! there is no way back but the whole transaction's.

use super::queue::{Answer, Work};
use super::writer::{Halt, Writer};
use crate::change::{Change, Outcome};
use crate::error::StoreError;

impl Writer<'_> {
    pub(super) fn apply(&mut self, work: &Work) -> Result<Answer, Halt> {
        match work {
            Work::Commit(changes) => self.apply_changes(changes).map(Answer::Outcomes),
            Work::Intern(name) => self.intern(name).map(Answer::Sym),
            Work::Prune(request) => Ok(Answer::Pruned(self.prune_step(request)?)),
            Work::Close => Ok(Answer::Closed),
        }
    }

    fn apply_changes(&mut self, changes: &[Change]) -> Result<Vec<Outcome>, Halt> {
        self.check(changes)?;
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            outcomes.push(self.apply_change(change)?);
        }
        Ok(outcomes)
    }

    fn check(&self, changes: &[Change]) -> Result<(), Halt> {
        let mut expected = self.audit_staged;
        for change in changes {
            match change {
                Change::Accept(acceptance) => {
                    super::resource::check(acceptance)?;
                    self.check_acceptance(acceptance, false)?;
                }
                Change::Settle(settlement) => {
                    if let Some(follow) = &settlement.follow {
                        self.check_acceptance(follow, false)?;
                    }
                }
                Change::Audit(record) if record.sequence != expected => {
                    let given = record.sequence;
                    return Err(Halt::Refused(StoreError::AuditConflict { given, expected }));
                }
                Change::Audit(_) => expected += 1,
                Change::Advance(advance) => self.check_advance(advance)?,
                Change::Task { act, .. } => super::tasks::check_act(act)?,
                Change::Operate(_)
                | Change::SetMeta { .. }
                | Change::BeginKey(_)
                | Change::EndKey(_)
                | Change::Keep { .. }
                | Change::Discard(_) => {}
            }
        }
        Ok(())
    }

    fn apply_change(&mut self, change: &Change) -> rusqlite::Result<Outcome> {
        Ok(match change {
            Change::Accept(acceptance) => match self.keep_resource(acceptance)? {
                None => Outcome::Accepted(self.accept(acceptance, None)?),
                Some(standing) => Outcome::Unfit(standing),
            },
            Change::Settle(settlement) => Outcome::Settled(self.settle(settlement)?),
            Change::Operate(operation) => Outcome::Operated(self.operate(operation)?),
            Change::Audit(record) => {
                self.append_audit(record)?;
                Outcome::Done
            }
            Change::SetMeta { name, value } => {
                self.set_meta(name, value)?;
                Outcome::Done
            }
            Change::BeginKey(begin) => Outcome::Key(self.keyed.begin(self.conn, begin, self.now)?),
            Change::EndKey(end) => {
                self.keyed.end(self.conn, end)?;
                Outcome::Done
            }
            Change::Advance(advance) => Outcome::Advanced(self.advance(advance)?),
            Change::Keep { mail, unwilling } => Outcome::Kept(self.keep(*mail, unwilling)?),
            Change::Discard(mail) => {
                self.discard(*mail)?;
                Outcome::Done
            }
            Change::Task { task, act } => Outcome::Task(self.act_on(*task, act)?),
        })
    }
}
