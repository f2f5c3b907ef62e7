//! Texts with a meaning of their own: which there are, how each is read, what it is called.

use crate::codes;
use crate::value;
use wardline_core::Code;

/// What a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Words for people.
    Prose,
    /// A value to compare with; may be empty.
    Value,
    Name,
    /// A key of the user's choice: letters, digits, underscores.
    Identifier,
    Duration,
    Size,
    Rate,
    /// So many in an hour, a day, a week.
    Quota,
    /// A percentage.
    Share,
    /// What a figure should be.
    Goal,
    /// An address to listen on.
    Bind,
    /// The name or address of another machine.
    Host,
    /// The key by which a server of SSH is known.
    HostKey,
    /// `host:port` of another machine.
    HostPort,
    Network,
    Url,
    Path,
    /// A path with `{names}`.
    PathTemplate,
    Header,
    Cron,
    TimeZone,
    Charset,
    Event,
    /// An HL7 path, a JSON path or a header.
    Field,
    /// Dotted path of an attribute of an entity.
    Attribute,
    Secret,
    /// A recipient of age: `age1…`.
    Recipient,
    /// A public key of a sender of webhooks: `whpk_…`.
    WebhookKey,
    /// A secret, or a text as it is.
    SecretOrText,
    /// A file of the estate.
    File,
    /// Files in a directory: `in/receipts-*.csv`.
    FilePattern,
    /// The name of a file that is written: `bill-{id}.json`.
    FileName,
    /// The ending of a file's name.
    Ending,
    /// A mapping program.
    Map,
    /// An expression in VRL.
    Expression,
    /// `system.connection` or `system.operation`.
    Reference,
    /// A reference, or `webhook/NAME`.
    Destination,
    Version,
    Moment,
    /// A day or a moment.
    Date,
    /// A scope of OAuth 2.0, or another word of that kind.
    Scope,
    /// A SHA-256 digest.
    Digest,
    /// `sqlite` or `postgres://…`.
    Store,
    /// An address of mail, perhaps with a name.
    Mailbox,
    /// An address of mail, or a domain.
    Recipients,
    /// Where a database of others is.
    Database,
    /// The name of a column.
    Column,
    /// What the values of a column are.
    ColumnKind,
    /// An hour of the day: `20:00`.
    Hour,
}

impl Form {
    /// Checks a text; the error is a code and a reason.
    pub(super) fn read(self, text: &str) -> Result<(), (Code, String)> {
        let with = |code: Code| move |why: String| (code, why);
        match self {
            Self::Column if text.is_empty() || text.len() > 128 || text.contains('.') => Err((
                codes::BAD_NAME,
                "expected the name of a column, without its table".to_owned(),
            )),
            // Whether a file exists and lies within the estate is found when it is looked up.
            Self::Prose | Self::Value | Self::Expression | Self::File | Self::Column => Ok(()),
            Self::Name => value::name(text).map_err(with(codes::BAD_NAME)),
            Self::Identifier => value::identifier(text).map_err(with(codes::BAD_NAME)),
            Self::Attribute => match text.split('.').try_for_each(value::identifier) {
                Ok(()) => Ok(()),
                Err(_) => Err((
                    codes::BAD_FIELD,
                    "expected an attribute, such as `bank.account_number`".to_owned(),
                )),
            },
            Self::Duration => value::duration(text)
                .map(drop)
                .map_err(with(codes::BAD_DURATION)),
            Self::Size => value::size(text).map(drop).map_err(with(codes::BAD_SIZE)),
            Self::Rate => value::rate(text).map(drop).map_err(with(codes::BAD_RATE)),
            Self::Quota => value::quota(text).map(drop).map_err(with(codes::BAD_RATE)),
            Self::Share => value::share(text).map(drop).map_err(with(codes::BAD_SHARE)),
            Self::Goal => value::goal(text).map(drop).map_err(with(codes::BAD_GOAL)),
            Self::Bind => value::bind(text)
                .map(drop)
                .map_err(with(codes::BAD_ADDRESS)),
            Self::Host => value::host(text).map_err(with(codes::BAD_ADDRESS)),
            Self::HostKey => value::host_key(text).map_err(with(codes::BAD_HOST_KEY)),
            Self::HostPort => value::host_port(text).map_err(with(codes::BAD_ADDRESS)),
            Self::Network => value::network(text)
                .map(drop)
                .map_err(with(codes::BAD_ADDRESS)),
            Self::Url => value::url(text).map_err(url_problem),
            Self::Path => value::url_path(text, false).map_err(with(codes::BAD_PATH)),
            Self::PathTemplate => value::url_path(text, true).map_err(with(codes::BAD_PATH)),
            Self::Header => http::HeaderName::try_from(text).map(drop).map_err(|_| {
                (
                    codes::BAD_NAME,
                    "expected letters, digits and hyphens".to_owned(),
                )
            }),
            Self::Cron => value::cron(text).map_err(with(codes::BAD_CRON)),
            Self::TimeZone => value::time_zone(text).map_err(with(codes::BAD_ZONE)),
            Self::Charset => value::charset(text)
                .map(drop)
                .map_err(with(codes::BAD_CHARSET)),
            Self::Event => value::event(text).map_err(with(codes::BAD_EVENT)),
            Self::Field => value::field(text).map_err(with(codes::BAD_FIELD)),
            Self::Secret => value::secret(text).map_err(with(codes::BAD_SECRET)),
            Self::Recipient => value::recipient(text).map_err(with(codes::BAD_RECIPIENT)),
            Self::WebhookKey => value::webhook_key(text).map_err(with(codes::WRONG_TYPE)),
            Self::SecretOrText if text.starts_with("secret:") => {
                value::secret(text).map_err(with(codes::BAD_SECRET))
            }
            Self::SecretOrText => http::HeaderValue::try_from(text).map(drop).map_err(|_| {
                (
                    codes::WRONG_TYPE,
                    "it has characters that a header cannot have".to_owned(),
                )
            }),
            Self::FilePattern => value::file_pattern(text).map_err(with(codes::BAD_FILE_NAME)),
            Self::FileName => value::file_name(text).map_err(with(codes::BAD_FILE_NAME)),
            Self::Ending => value::ending(text).map_err(with(codes::BAD_FILE_NAME)),
            Self::Map if value::is_map(text) => Ok(()),
            Self::Map => Err((
                codes::NO_FILE,
                "the name of a mapping program ends in `.vrl`".to_owned(),
            )),
            Self::Reference => value::reference(text).map_err(with(codes::BAD_REFERENCE)),
            Self::Destination => value::destination(text).map_err(with(codes::BAD_REFERENCE)),
            Self::Version => value::version(text).map_err(with(codes::BAD_VERSION)),
            Self::Moment => value::moment(text).map_err(with(codes::BAD_TIME)),
            Self::Date => value::date(text).map(drop).map_err(with(codes::BAD_TIME)),
            Self::Scope => value::scope(text).map_err(with(codes::BAD_SCOPE)),
            Self::Digest => value::digest(text)
                .map(drop)
                .map_err(with(codes::BAD_DIGEST)),
            Self::Mailbox => wardline_core::mail::Address::parse(text)
                .map(drop)
                .map_err(|error| (codes::BAD_ADDRESS, error.to_string())),
            Self::Recipients => {
                // A domain is what could stand behind an `@`.
                let whole = if text.contains('@') {
                    text.to_owned()
                } else {
                    format!("a@{text}")
                };
                match wardline_core::mail::Address::parse(&whole) {
                    Ok(address) if address.name.is_none() => Ok(()),
                    _ => Err((
                        codes::BAD_ADDRESS,
                        "expected an address or a domain, such as `st-brigid.example`".to_owned(),
                    )),
                }
            }
            Self::Database => match wardline_sql::Place::parse(text) {
                Ok(_) => Ok(()),
                Err(error @ wardline_sql::BadPlace::Credential) => {
                    Err((codes::PASSWORD_IN_FILE, error.to_string()))
                }
                Err(error) => Err((codes::BAD_URL, error.to_string())),
            },
            Self::ColumnKind => text
                .parse::<wardline_tabular::Kind>()
                .map(drop)
                .map_err(|error| (codes::UNKNOWN_WORD, error.to_string())),
            Self::Hour => value::hour(text).map(drop).map_err(with(codes::BAD_TIME)),
            Self::Store => match text {
                "sqlite" => Ok(()),
                _ if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                    if text
                        .split(['/', '?'])
                        .nth(2)
                        .is_some_and(|authority| authority.contains('@'))
                    {
                        Err((
                            codes::PASSWORD_IN_FILE,
                            "use the environment variable `WARDLINE_STORE`".to_owned(),
                        ))
                    } else {
                        Ok(())
                    }
                }
                _ => Err((
                    codes::BAD_URL,
                    "expected `sqlite`, the one store of this release".to_owned(),
                )),
            },
        }
    }

    /// What it is, with an article, for messages and the manual.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Prose | Self::Value => "text",
            Self::Name => "a name",
            Self::Identifier => "an identifier",
            Self::Duration => "a duration",
            Self::Size => "a size",
            Self::Rate => "a rate",
            Self::Quota => "a quota",
            Self::Share => "a share",
            Self::Goal => "a goal",
            Self::Bind => "a local address",
            Self::Host => "a host",
            Self::HostKey => "a host key",
            Self::HostPort => "a host and port",
            Self::Network => "a network",
            Self::Url => "a URL",
            Self::Path | Self::PathTemplate => "a path",
            Self::Header => "the name of a header",
            Self::Cron => "a cron schedule",
            Self::TimeZone => "a time zone",
            Self::Charset => "a charset",
            Self::Event => "an event type",
            Self::Field => "a field",
            Self::Attribute => "an attribute",
            Self::Secret => "a reference to a secret",
            Self::Recipient => "a recipient of age",
            Self::WebhookKey => "a public key of webhooks",
            Self::SecretOrText => "text or a reference to a secret",
            Self::File => "a file of the estate",
            Self::FilePattern => "a pattern of file names",
            Self::FileName => "the name of a file",
            Self::Ending => "the ending of a file name",
            Self::Map => "a mapping program",
            Self::Expression => "an expression",
            Self::Reference => "a reference",
            Self::Destination => "a destination",
            Self::Version => "a version",
            Self::Moment => "a moment",
            Self::Date => "a date",
            Self::Scope => "a scope",
            Self::Digest => "a digest",
            Self::Store => "a store",
            Self::Mailbox => "an address of mail",
            Self::Recipients => "an address of mail or a domain",
            Self::Database => "a database",
            Self::Column => "a column",
            Self::ColumnKind => "the kind of a column",
            Self::Hour => "an hour of the day",
        }
    }
}

fn url_problem(problem: value::BadUrl) -> (Code, String) {
    match problem {
        value::BadUrl::Malformed(why) => (codes::BAD_URL, why),
        value::BadUrl::Password => (
            codes::PASSWORD_IN_FILE,
            "use `auth` with a reference to a secret".to_owned(),
        ),
    }
}
