//! The console: server-rendered pages and a JSON API on the engine's read model.
//!
//! People open it in trouble, so every page answers in one order: where am I, what is
//! wrong, what do I do. It promises three things. A payload is masked on the server until
//! somebody gives a reason, and that look is in the audit log. A business key typed into a
//! search never appears in a URL, a title or a log. Whatever a page can do, `/api/…` can do
//! too; the command line uses nothing else.
//!
//! The pages are plain HTML with links and forms and work without scripts. One script of a
//! few kilobytes adds live updates (one server-sent event stream per page) and keys. There
//! is no script library: swapping a region of a page is forty lines, which is less to audit
//! than any library's settings under a strict content security policy.
//!
//! Start with [`ConsoleDesk`] (what the console asks of the engine), [`Entrance`] (how people
//! come in, and what they may do) and [`Console`] (the router and its live feed); [`serve`] ties
//! them together. What each address needs is one table, `need.rs`.

mod access;
mod api;
mod api_people;
mod api_processes;
mod app;
mod assets;
mod auth;
mod codes;
mod desk;
mod door;
mod engine_desk;
mod entrance;
mod error;
mod forms;
mod guard;
mod intent;
mod link;
mod live;
mod need;
mod pages;
mod plan;
mod problem;
mod process_desk;
mod search;
mod session;
mod shelf;
mod tasks;

pub use access::{
    AccessDesk, AcknowledgedView, AlertView, ClientView, CountsView, CredentialView, OperationView,
    QuotaView,
};
pub use app::{Console, serve};
pub use auth::{AdminToken, Auth, base_of};
pub use codes::EXPLANATIONS;
pub use desk::{ConsoleDesk, DeskError, DeskErrorKind};
pub use entrance::Entrance;
pub use error::ConsoleError;
pub use process_desk::{ProcessDesk, Reassign};
pub use search::{Search, SearchError};
pub use tasks::{ME, person};
