//! People: HR, identity, badges, schedules, payroll and the accounts of the clinical record.

mod access;
mod acts;
mod hr;
mod identity;
mod payroll;
mod sheet;

pub(crate) use access::{BADGE, EHR_ACCOUNTS, SCHEDULING};
pub(crate) use acts::{begin, begin_run};
pub(crate) use hr::HR;
pub(crate) use identity::IDENTITY;
pub(crate) use payroll::PAYROLL;
