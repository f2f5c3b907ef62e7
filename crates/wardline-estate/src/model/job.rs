//! Bulk jobs: much, piece by piece, from one place to another.

use super::MapRef;
use crate::source::{Span, Spanned};
use wardline_tabular::{Column, Format};

/// One job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub at: Span,
    /// What people call it.
    pub title: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When it begins by itself: five cron fields.
    pub every: Option<Spanned<String>>,
    /// The time zone of schedule, window and file names (IANA name).
    pub time_zone: Spanned<String>,
    /// What is read.
    pub read: JobRead,
    /// A predicate in VRL; records for which it is false are left out.
    pub when: Option<Spanned<String>>,
    /// Maps, each fed by the one before, for each record.
    pub map: Vec<MapRef>,
    /// Where records go.
    pub write: JobWrite,
    /// Records a second at most.
    pub rate: Option<f64>,
    /// Hours of the day within which it works.
    pub window: Option<JobWindow>,
    /// Records that may be refused before a run fails.
    pub errors: u32,
    /// Deliveries that may be open before it waits.
    pub open: u32,
}

/// What a job reads.
#[derive(Clone, Debug)]
pub struct JobRead {
    /// The operation: `system.operation`.
    pub call: Spanned<String>,
    /// What is asked for with every page.
    pub with: serde_json::Map<String, serde_json::Value>,
    /// How pages follow each other.
    pub page: JobPage,
}

/// How pages follow each other.
#[derive(Clone, Debug)]
pub struct JobPage {
    /// Where in an answer the records are: a dotted path. The answer itself where absent.
    pub records: Option<String>,
    /// Records of a page.
    pub size: u32,
    /// As what the size is asked for.
    pub size_as: String,
    /// By what the next page is found.
    pub by: JobPaging,
    /// As what the place of the next page is asked for.
    pub place_as: String,
    /// The first place.
    pub begin: Option<String>,
    /// Whether a run goes on where the last one ended.
    pub onward: bool,
    /// Where in an answer it stands how many records there are in all.
    pub total: Option<String>,
}

/// By what the next page is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobPaging {
    /// There is one page only.
    Once,
    /// By a column of the last record.
    After(String),
    /// By what the answer says at a dotted path.
    Next(String),
    /// By how many records came before.
    Offset,
}

/// Where the records of a job go.
#[derive(Clone, Debug)]
pub enum JobWrite {
    /// Each becomes a message; flows begin with `from: { job: NAME }`.
    Messages,
    /// Into files.
    File(JobFile),
}

/// Files that a job writes.
#[derive(Clone, Debug)]
pub struct JobFile {
    /// A connection that writes files: `system.connection`.
    pub connection: Spanned<String>,
    /// The name of each, with `{date}`, `{time}`, `{run}` and `{part}`.
    pub name: Spanned<String>,
    /// How records are written.
    pub format: Format,
    /// What of a record is written, in this order.
    pub columns: Vec<Column>,
    /// Records of one file at most.
    pub split: Option<u32>,
}

/// Hours of the day, in minutes after midnight. May go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobWindow {
    /// From here.
    pub from: u16,
    /// To here.
    pub to: u16,
}
