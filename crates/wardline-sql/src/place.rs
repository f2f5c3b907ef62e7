//! Where a database is. A user and a password never stand in it.

use std::fmt;

use crate::Dialect;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A server.
    Server {
        /// Which.
        dialect: Dialect,
        /// Its host, without the brackets of an IPv6 address.
        host: String,
        /// Its port.
        port: u16,
        /// The name of the database.
        database: String,
    },
    /// A file of SQLite.
    File(String),
}

/// Why a text says no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    /// It begins with something else.
    #[error("expected `postgres://host/database`, `mysql://host/database` or `sqlite:file`")]
    Scheme,
    /// A credential.
    #[error("it holds a user or a password")]
    Credential,
    /// No host.
    #[error("the host is missing or no host")]
    Host,
    /// No port.
    #[error("the port is not a number up to 65535")]
    Port,
    /// No database.
    #[error(
        "the name of the database is missing or has other characters than letters, digits, `_`, `-` and `$`"
    )]
    Database,
    /// Settings.
    #[error("settings behind `?` are not read: they are keys of the connection")]
    Settings,
    /// No file.
    #[error("the file is missing")]
    File,
}

impl Place {
    /// Reads `postgres://host:port/database`, `mysql://…` (also `mariadb://…`) or `sqlite:file`.
    ///
    /// # Errors
    /// [`BadPlace`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, BadPlace> {
        if let Some(file) = text.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            return if file.is_empty() || file.contains(['?', '\0']) || file.starts_with(':') {
                Err(BadPlace::File)
            } else {
                Ok(Self::File(file.to_owned()))
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or(BadPlace::Scheme)?;
        let (dialect, port) = match scheme {
            "postgres" | "postgresql" => (Dialect::Postgres, 5432),
            "mysql" | "mariadb" => (Dialect::Mysql, 3306),
            _ => return Err(BadPlace::Scheme),
        };
        if rest.contains('@') {
            return Err(BadPlace::Credential);
        }
        if rest.contains(['?', '#']) {
            return Err(BadPlace::Settings);
        }
        let (authority, database) = rest.split_once('/').ok_or(BadPlace::Database)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, said)) if !said.contains(']') => {
                (host, said.parse().map_err(|_| BadPlace::Port)?)
            }
            _ => (authority, port),
        };
        let host = match host.strip_prefix('[') {
            Some(inner) => inner
                .strip_suffix(']')
                .filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
                .ok_or(BadPlace::Host)?,
            None => host,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
            return Err(BadPlace::Host);
        }
        let named = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
        if database.is_empty() || database.len() > 64 || !database.chars().all(named) {
            return Err(BadPlace::Database);
        }
        Ok(Self::Server {
            dialect,
            host: host.to_owned(),
            port,
            database: database.to_owned(),
        })
    }

    /// How it reads SQL.
    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::Server { dialect, .. } => *dialect,
            Self::File(_) => Dialect::Sqlite,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "sqlite {file}"),
            Self::Server {
                dialect,
                host,
                port,
                database,
            } => {
                let word = match dialect {
                    Dialect::Mysql => "mysql",
                    _ => "postgres",
                };
                if host.contains(':') {
                    write!(f, "{word} [{host}]:{port}/{database}")
                } else {
                    write!(f, "{word} {host}:{port}/{database}")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (text, shown) in [
            ("postgres://db.example/hr", "postgres db.example:5432/hr"),
            ("postgresql://db:6000/hr", "postgres db:6000/hr"),
            ("mariadb://[::1]:3307/wh_1", "mysql [::1]:3307/wh_1"),
            ("mysql://[::1]/wh", "mysql [::1]:3306/wh"),
            ("sqlite:data/wh.db", "sqlite data/wh.db"),
            ("sqlite:///srv/wh.db", "sqlite /srv/wh.db"),
        ] {
            assert_eq!(Place::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for (text, why) in [
            ("oracle://db/hr", BadPlace::Scheme),
            ("db/hr", BadPlace::Scheme),
            ("postgres://u:p@db/hr", BadPlace::Credential),
            ("postgres://db/hr?sslmode=disable", BadPlace::Settings),
            ("postgres://db:70000/hr", BadPlace::Port),
            ("postgres:///hr", BadPlace::Host),
            ("postgres://[nonsense]/hr", BadPlace::Host),
            ("postgres://db", BadPlace::Database),
            ("postgres://db/", BadPlace::Database),
            ("sqlite:", BadPlace::File),
            ("sqlite::memory:", BadPlace::File),
            ("sqlite:a?mode=rwc", BadPlace::File),
        ] {
            assert_eq!(Place::parse(text), Err(why), "{text}");
        }
    }
}
