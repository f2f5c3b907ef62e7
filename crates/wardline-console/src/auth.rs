//! Who may come in. One admin token, kept in a file that only its owner may read, opens
//! both the API (as a bearer token) and the pages (once, for a session cookie). The token
//! itself is not kept in memory: what is presented is compared by its HMAC under a key that
//! lives as long as the process, which is also what makes the comparison constant-time.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::ConsoleError;
use crate::shelf::{hex, random_name};

/// The least length of a token that somebody chose; ours have 64.
const LEAST_LENGTH: usize = 32;

/// The admin token as it is in its file. Not printable by accident.
pub struct AdminToken(String);

impl AdminToken {
    /// Reads the token from its file, and makes file and token (256 random bits, mode 600)
    /// where there is none.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("admin.token");
    /// let made = wardline_console::AdminToken::load_or_create(&path).unwrap();
    /// let read = wardline_console::AdminToken::load_or_create(&path).unwrap();
    /// assert_eq!(made.reveal(), read.reveal());
    /// ```
    pub fn load_or_create(path: &Path) -> Result<Self, ConsoleError> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                refuse_exposed(path)?;
                let token = text.trim();
                if token.len() < LEAST_LENGTH {
                    return Err(ConsoleError::WeakToken {
                        path: path.to_owned(),
                        length: token.len(),
                        least: LEAST_LENGTH,
                    });
                }
                Ok(Self(token.to_owned()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let token = random_name(32)?;
                write_private(path, &token).map_err(|source| ConsoleError::CreateToken {
                    path: path.to_owned(),
                    source,
                })?;
                Ok(Self(token))
            }
            Err(source) => Err(ConsoleError::ReadToken {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The token, for the `Authorization` header of a client.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The link that opens the console in a browser: `http://127.0.0.1:8420/login?token=…`.
    /// An unspecified address (`0.0.0.0`) becomes the loopback address.
    pub fn login_link(&self, console: SocketAddr) -> String {
        let host = match console.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
            IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        format!(
            "http://{host}:{}/login?token={}",
            console.port(),
            crate::link::encode(&self.0)
        )
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), ConsoleError> {
    use std::os::unix::fs::PermissionsExt as _;
    let read = |source| ConsoleError::ReadToken {
        path: path.to_owned(),
        source,
    };
    let mode = std::fs::metadata(path).map_err(read)?.permissions().mode() & 0o777;
    let others = mode & 0o077;
    if others == 0 {
        Ok(())
    } else {
        Err(ConsoleError::TokenExposed {
            path: path.to_owned(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path) -> Result<(), ConsoleError> {
    Ok(())
}

fn write_private(path: &Path, token: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}

/// Who may come in, and under which host names.
pub struct Auth {
    key: hmac::Key,
    admin: hmac::Tag,
    actor: String,
    bind: SocketAddr,
    names: Vec<String>,
}

impl Auth {
    /// Lets in who holds `token`, at the address that the console is bound to.
    pub fn new(token: &AdminToken, bind: SocketAddr) -> Result<Self, ConsoleError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| ConsoleError::NoRandomness)?;
        let admin = hmac::sign(&key, token.0.as_bytes());
        Ok(Self {
            key,
            admin,
            actor: "admin".to_owned(),
            bind,
            names: Vec::new(),
        })
    }

    /// Names the holder of the token in the audit log; `admin` where nothing is said.
    #[must_use]
    pub fn with_actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = actor.into();
        self
    }

    /// Also answers under this host name, as a reverse proxy in front presents it.
    #[must_use]
    pub fn with_host(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into().to_ascii_lowercase());
        self
    }

    /// Whether this is the admin token; takes the same time whatever is presented.
    pub(crate) fn admits(&self, presented: &str) -> bool {
        hmac::verify(&self.key, presented.as_bytes(), self.admin.as_ref()).is_ok()
    }

    /// The name under which a session is kept: not the cookie itself, so that neither a
    /// memory dump nor the timing of a map lookup gives a session away.
    pub(crate) fn session_name(&self, cookie: &str) -> String {
        hex(hmac::sign(&self.key, cookie.as_bytes()).as_ref())
    }

    /// The holder of the token in the audit log.
    pub(crate) fn actor(&self) -> &str {
        &self.actor
    }

    /// Cookies are shared by all ports of a host, so the name tells two consoles apart.
    pub(crate) fn cookie(&self) -> String {
        format!("wardline_{}", self.bind.port())
    }

    /// Whether a request may carry this `Host`. A page of another site whose name was
    /// pointed at this address (DNS rebinding) carries that name and is refused.
    pub(crate) fn knows_host(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") || self.names.contains(&name) {
            return true;
        }
        let Ok(ip) = name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
        else {
            return false;
        };
        // An address is not a name: it cannot be pointed elsewhere. Where the console
        // listens everywhere, any address that leads here is as good as another.
        ip.is_loopback() || ip == self.bind.ip() || self.bind.ip().is_unspecified()
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("actor", &self.actor)
            .field("bind", &self.bind)
            .finish_non_exhaustive()
    }
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        // `[::1]` has colons inside its brackets that are not a port.
        Some(at) if !host[at..].contains(']') => &host[..at],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(bind: &str) -> Auth {
        Auth::new(
            &AdminToken("a-token-that-is-long-enough-for-this".into()),
            bind.parse().unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn only_the_token_is_admitted() {
        let auth = auth("127.0.0.1:8420");
        assert!(auth.admits("a-token-that-is-long-enough-for-this"));
        for wrong in [
            "",
            "a-token-that-is-long-enough-for-thi",
            "a-token-that-is-long-enough-for-thisx",
        ] {
            assert!(!auth.admits(wrong), "{wrong}");
        }
    }

    #[test]
    fn hosts_of_this_console_only() {
        let local = auth("127.0.0.1:8420").with_host("Console.Example");
        for host in [
            "localhost:8420",
            "LOCALHOST",
            "127.0.0.1:8420",
            "[::1]:8420",
            "console.example",
            "console.example:443",
        ] {
            assert!(local.knows_host(host), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:8420",
            "10.0.0.9:8420",
            "",
            "localhost.evil.example",
        ] {
            assert!(!local.knows_host(host), "{host}");
        }
        assert!(auth("0.0.0.0:8420").knows_host("10.0.0.9:8420"));
        assert!(!auth("0.0.0.0:8420").knows_host("evil.example:8420"));
    }

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        AdminToken::load_or_create(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            AdminToken::load_or_create(&path),
            Err(ConsoleError::TokenExposed { mode: 0o644, .. })
        ));
    }

    #[test]
    fn short_tokens_are_refused_and_none_is_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        write_private(&path, "short").unwrap();
        let error = AdminToken::load_or_create(&path).unwrap_err();
        assert!(matches!(error, ConsoleError::WeakToken { length: 5, .. }));
        assert!(!error.to_string().contains("short"));
        assert_eq!(
            format!("{:?}", AdminToken("secret".into())),
            "AdminToken(…)"
        );
    }

    #[test]
    fn the_link_is_one_a_browser_can_open() {
        let token = AdminToken("t".repeat(40));
        assert!(
            token
                .login_link("0.0.0.0:1".parse().unwrap())
                .starts_with("http://127.0.0.1:1/login?token=ttt")
        );
        assert!(
            token
                .login_link("[::]:1".parse().unwrap())
                .starts_with("http://[::1]:1/")
        );
    }
}
