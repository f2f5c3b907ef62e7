//! The admin token, host names, and the secrets of cookies and forms. One admin token, kept in a file that only its owner may read, opens
//! both the API (as a bearer token) and the pages (once, for a session cookie). The token
//! itself is not kept in memory: what is presented is compared by its HMAC under a key that
//! lives as long as the process, which is also what makes the comparison constant-time.
//!
//! People come in by [`Entrance`](crate::Entrance); the token is for the first run, for the
//! command line, and for the day when nobody else can come in.

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
        self.login_link_at(&base_of(console, false))
    }

    /// The same, where browsers reach the console at `base`: `https://wardline.example`.
    pub fn login_link_at(&self, base: &str) -> String {
        format!("{base}/login?token={}", crate::link::encode(&self.0))
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

/// Where a browser on this machine reaches a console that listens there.
pub fn base_of(console: SocketAddr, tls: bool) -> String {
    let host = match console.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{host}:{}", console.port())
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

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// Whoever is signed in.
    Session,
    /// A browser at the door: what a sign-in is bound to that has begun.
    Door,
}

/// Who may come in, and under which host names.
pub struct Auth {
    key: hmac::Key,
    admin: hmac::Tag,
    actor: String,
    bind: SocketAddr,
    names: Vec<String>,
    /// The listener speaks TLS.
    tls: bool,
    /// The host name under which a proxy with TLS presents us.
    secure_name: Option<String>,
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
            tls: false,
            secure_name: None,
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

    /// Says that the listener speaks TLS.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Also answers under the host of this URL, where a proxy in front is reached; cookies
    /// that pass there are for TLS only if it begins with `https`.
    #[must_use]
    pub fn with_url(mut self, url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let name = without_port(authority).to_ascii_lowercase();
        if scheme == "https" {
            self.secure_name = Some(name.clone());
        }
        self.names.push(name);
        self
    }

    /// Whether a browser that asks for this host does so over TLS.
    pub(crate) fn is_secure(&self, host: &str) -> bool {
        self.tls
            || self
                .secure_name
                .as_deref()
                .is_some_and(|name| without_port(host).eq_ignore_ascii_case(name))
    }

    /// The token of forms that a page shows to the holder of this cookie. A page of another
    /// site cannot read it, and what it sends without it is refused.
    pub(crate) fn form_token(&self, cookie: &str) -> String {
        hex(hmac::sign(&self.key, format!("form {cookie}").as_bytes()).as_ref())
    }

    /// Whether a form bears the token of this cookie; takes the same time whatever it bears.
    pub(crate) fn is_form_token(&self, cookie: &str, presented: &str) -> bool {
        let expected = self.form_token(cookie);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), presented.as_bytes())
            .is_ok()
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

    /// The name of a cookie: `session` or `door`. Cookies are shared by all ports of a host,
    /// so the name tells two consoles apart; over TLS the prefix keeps neighbours under the
    /// same domain from setting one (RFC 6265bis §4.1.3).
    pub(crate) fn cookie(&self, what: Cookie, host: &str) -> String {
        let prefix = if self.is_secure(host) { "__Host-" } else { "" };
        let suffix = match what {
            Cookie::Session => "",
            Cookie::Door => "_door",
        };
        format!("{prefix}wardline{suffix}_{}", self.bind.port())
    }

    /// A `Set-Cookie` value. `Lax`, so that the way back from an identity provider keeps it;
    /// forms are guarded by their token.
    pub(crate) fn set_cookie(&self, what: Cookie, host: &str, value: &str, age: u64) -> String {
        let secure = if self.is_secure(host) { "; Secure" } else { "" };
        format!(
            "{}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age}{secure}",
            self.cookie(what, host)
        )
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

    #[test]
    fn cookies_and_form_tokens_are_of_one_console_and_browser() {
        let plain = auth("127.0.0.1:8420").with_url("https://Wardline.example/");
        assert!(plain.knows_host("wardline.example"));
        assert!(plain.is_secure("WARDLINE.example:443") && !plain.is_secure("127.0.0.1:8420"));
        let set = plain.set_cookie(Cookie::Session, "wardline.example", "x", 60);
        assert_eq!(
            set,
            "__Host-wardline_8420=x; HttpOnly; SameSite=Lax; Path=/; Max-Age=60; Secure"
        );
        assert_eq!(
            plain.cookie(Cookie::Door, "127.0.0.1:8420"),
            "wardline_door_8420"
        );
        assert!(
            auth("127.0.0.1:8420")
                .with_tls()
                .is_secure("localhost:8420")
        );
        let token = plain.form_token("one");
        assert!(plain.is_form_token("one", &token));
        assert!(!plain.is_form_token("two", &token) && !plain.is_form_token("one", ""));
        assert_ne!(
            token,
            auth("127.0.0.1:8420").form_token("one"),
            "keys differ"
        );
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
