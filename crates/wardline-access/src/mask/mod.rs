//! Masking: what of an entity a caller sees who may not see all of it.
//!
//! [`Fields`] knows the sensitive paths of an entity; together with the [`Classes`] that a caller
//! has revealed (see [`crate::policy::Policies::revealed`]) it changes a JSON value in place.
//! [`Fields::hides`] says beforehand, at the cost of comparing two bytes, whether there is
//! anything to hide: answers of which nothing is hidden need not be parsed.
//!
//! | class | a caller who has not revealed it sees |
//! | --- | --- |
//! | public, internal | the value |
//! | financial | the last four characters of a text of eight or more: `••••4711` ([`Style::LastFour`]) |
//! | pii | a pseudonym, the same for the same value in the same field ([`Style::Hash`]) |
//! | phi | nothing: the field is not there ([`Style::Removed`]) |
//! | secret | nothing, whatever is revealed |
//!
//! What cannot be shown in its class's style without saying too much (an amount, a date of birth
//! as an object, a list) is removed. `null` and empty texts stay: whether a field was filled at
//! all is what the caller's program needs to tell an error from a mask.
//!
//! A field that no path classifies is shown, also in an entity that has phi elsewhere: `check` and
//! the people who own the entity decide what is sensitive, and a mask that hides at random is
//! switched off by its users. An entity that is to be closed says so with `"*": phi` and then
//! opens what may be seen: `id: internal`. The console's view of *messages*, whose shape nobody
//! declared, is closed by default instead (`wardline_vault::mask`).

mod fields;
mod pseudonym;

pub use fields::{Classes, Fields, Style};
pub use pseudonym::Pseudonyms;
