//! One conversation with a server.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::config::{OutboundConfig, Security};
use super::message::Mail;
use crate::stream::Stream;
use crate::{FailureKind, codes};

/// Bytes of one line of an answer, and lines of one answer.
const LONGEST: u64 = 1_024;
const MOST_LINES: usize = 100;

/// Why a mail did not leave; holds no text of the server beyond its numbers.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) kind: FailureKind,
    pub(super) code: wardline_core::Code,
    pub(super) what: String,
}

impl Trouble {
    fn unreachable(what: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Unreachable,
            code: codes::SMTP_UNREACHABLE,
            what: what.into(),
        }
    }

    fn broken(error: &std::io::Error) -> Self {
        Self {
            kind: FailureKind::Transient,
            code: codes::SMTP_UNREACHABLE,
            what: format!("the conversation broke: {}", error.kind()),
        }
    }
}

/// A number and what a server offers with it.
struct Answer {
    number: u16,
    lines: Vec<String>,
}

impl Answer {
    /// The enhanced status (RFC 3463), where there is one: `5.1.1`.
    fn enhanced(&self) -> Option<&str> {
        let first = self.lines.first()?.split(' ').next()?;
        let digits = |part: &str| {
            !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit())
        };
        (first.split('.').count() == 3 && first.split('.').all(digits)).then_some(first)
    }

    fn offers(&self, word: &str) -> bool {
        self.lines.iter().any(|line| {
            line.split(' ')
                .next()
                .is_some_and(|first| first.eq_ignore_ascii_case(word))
        })
    }

    fn mechanisms(&self) -> Vec<String> {
        let line = self.lines.iter().find(|line| {
            line.get(..5)
                .is_some_and(|word| word.eq_ignore_ascii_case("AUTH "))
        });
        line.map_or_else(Vec::new, |line| {
            line[5..].split(' ').map(str::to_ascii_uppercase).collect()
        })
    }

    /// What a refusal means.
    fn refusal(&self, during: &str) -> Trouble {
        let status = self
            .enhanced()
            .map(|status| format!(" {status}"))
            .unwrap_or_default();
        let what = format!("the server answers {}{status} to {during}", self.number);
        let (kind, code) = match self.number {
            421 | 450..=452 => (FailureKind::Busy { retry_after: None }, codes::SMTP_LATER),
            // Credentials are renewed; until then mail waits.
            454 | 530 | 534 | 535 | 538 => (FailureKind::Transient, codes::SMTP_CREDENTIALS),
            500..=599 => (FailureKind::Permanent, codes::SMTP_REFUSED),
            _ => (FailureKind::Transient, codes::SMTP_LATER),
        };
        Trouble { kind, code, what }
    }
}

pub(super) struct Session {
    stream: BufReader<Stream>,
    offers: Answer,
}

impl Session {
    /// Connects, greets, begins TLS and says who we are.
    pub(super) async fn open(config: &OutboundConfig) -> Result<Self, Trouble> {
        let tcp = TcpStream::connect((config.host.as_str(), config.port))
            .await
            .map_err(|error| Trouble::unreachable(format!("no connection: {error}")))?;
        let stream = if config.security == Security::Implicit {
            secured(config, tcp).await?
        } else {
            Stream::Plain(tcp)
        };
        let mut session = Self {
            stream: BufReader::new(stream),
            offers: Answer {
                number: 0,
                lines: Vec::new(),
            },
        };
        let greeting = session.answer().await?;
        if greeting.number != 220 {
            return Err(greeting.refusal("the connection"));
        }
        session.greet(config).await?;
        if config.security == Security::StartTls {
            if !session.offers.offers("STARTTLS") {
                return Err(Trouble::unreachable("the server offers no STARTTLS"));
            }
            let answer = session.ask("STARTTLS").await?;
            if answer.number != 220 {
                return Err(answer.refusal("STARTTLS"));
            }
            // What came before TLS was agreed on is nobody's word.
            if !session.stream.buffer().is_empty() {
                return Err(Trouble::unreachable(
                    "the server spoke before TLS was agreed on",
                ));
            }
            let Stream::Plain(tcp) = session.stream.into_inner() else {
                return Err(Trouble::unreachable("TLS within TLS"));
            };
            let stream = secured(config, tcp).await?;
            session = Self {
                stream: BufReader::new(stream),
                offers: Answer {
                    number: 0,
                    lines: Vec::new(),
                },
            };
            session.greet(config).await?;
        }
        session.login(config).await?;
        Ok(session)
    }

    async fn greet(&mut self, config: &OutboundConfig) -> Result<(), Trouble> {
        let answer = self.ask(&format!("EHLO {}", config.greeting)).await?;
        if answer.number != 250 {
            return Err(answer.refusal("EHLO"));
        }
        self.offers = answer;
        Ok(())
    }

    async fn login(&mut self, config: &OutboundConfig) -> Result<(), Trouble> {
        let Some(login) = &config.login else {
            return Ok(());
        };
        let bad = |what: &str| Trouble {
            kind: FailureKind::Transient,
            code: codes::SMTP_CREDENTIALS,
            what: what.to_owned(),
        };
        if config.security == Security::None {
            return Err(bad("a password does not go without TLS"));
        }
        let text = login.expose().trim_ascii_end();
        let at = text
            .iter()
            .position(|byte| *byte == b':')
            .ok_or_else(|| bad("the secret is not `user:password`"))?;
        let (user, password) = (&text[..at], &text[at + 1..]);
        let mechanisms = self.offers.mechanisms();
        let answer = if mechanisms.iter().any(|one| one == "PLAIN") {
            let mut plain = Zeroizing::new(vec![0]);
            plain.extend_from_slice(user);
            plain.push(0);
            plain.extend_from_slice(password);
            let line = Zeroizing::new(format!("AUTH PLAIN {}", STANDARD.encode(&*plain)));
            self.ask(&line).await?
        } else if mechanisms.iter().any(|one| one == "LOGIN") {
            for line in ["AUTH LOGIN".to_owned(), STANDARD.encode(user)] {
                let answer = self.ask(&line).await?;
                if answer.number != 334 {
                    return Err(answer.refusal("AUTH"));
                }
            }
            let line = Zeroizing::new(STANDARD.encode(password));
            self.ask(&line).await?
        } else {
            return Err(bad("the server offers neither AUTH PLAIN nor LOGIN"));
        };
        if answer.number != 235 {
            return Err(Trouble {
                kind: FailureKind::Transient,
                code: codes::SMTP_CREDENTIALS,
                what: answer.refusal("AUTH").what,
            });
        }
        Ok(())
    }

    /// Sends one mail: to all of its recipients, or to none.
    pub(super) async fn send(&mut self, from: &str, mail: &Mail) -> Result<u16, Trouble> {
        let size = if self.offers.offers("SIZE") {
            format!(" SIZE={}", mail.bytes.len())
        } else {
            String::new()
        };
        let answer = self.ask(&format!("MAIL FROM:<{from}>{size}")).await?;
        if answer.number != 250 {
            return Err(answer.refusal("MAIL"));
        }
        for recipient in &mail.recipients {
            let answer = self
                .ask(&format!("RCPT TO:<{}>", recipient.mailbox))
                .await?;
            if !matches!(answer.number, 250 | 251) {
                return Err(answer.refusal("RCPT"));
            }
        }
        let answer = self.ask("DATA").await?;
        if answer.number != 354 {
            return Err(answer.refusal("DATA"));
        }
        // No line of a mail begins with a dot: parts are base64, headers have names.
        let mut bytes = mail.bytes.clone();
        bytes.extend_from_slice(b".\r\n");
        self.write(&bytes).await?;
        let answer = self.answer().await?;
        if answer.number != 250 {
            return Err(answer.refusal("the mail"));
        }
        // It is the server's now, whatever becomes of the conversation.
        self.write(b"QUIT\r\n").await.ok();
        Ok(answer.number)
    }

    async fn ask(&mut self, line: &str) -> Result<Answer, Trouble> {
        let mut bytes = Zeroizing::new(line.as_bytes().to_vec());
        bytes.extend_from_slice(b"\r\n");
        self.write(&bytes).await?;
        self.answer().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let stream = self.stream.get_mut();
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.await.map_err(|error| Trouble::broken(&error))
    }

    async fn answer(&mut self) -> Result<Answer, Trouble> {
        let odd = || Trouble {
            kind: FailureKind::Transient,
            code: codes::SMTP_UNREACHABLE,
            what: "the server does not speak SMTP".to_owned(),
        };
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream)
                .take(LONGEST)
                .read_until(b'\n', &mut line)
                .await
                .map_err(|error| Trouble::broken(&error))?;
            if read == 0 {
                return Err(Trouble::broken(&std::io::ErrorKind::UnexpectedEof.into()));
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            let number: u16 = text
                .get(..3)
                .and_then(|number| number.parse().ok())
                .filter(|number| (200..600).contains(number))
                .ok_or_else(odd)?;
            lines.push(text.get(4..).unwrap_or_default().to_owned());
            match text.as_bytes().get(3) {
                None | Some(b' ') => return Ok(Answer { number, lines }),
                Some(b'-') if lines.len() < MOST_LINES && line.ends_with(b"\n") => {}
                Some(_) => return Err(odd()),
            }
        }
    }
}

async fn secured(config: &OutboundConfig, tcp: TcpStream) -> Result<Stream, Trouble> {
    let usable = |error: crate::ConnectError| Trouble::unreachable(error.to_string());
    let name = config
        .tls
        .verified_name(&config.name, &config.host)
        .map_err(usable)?;
    let tls = config.tls.build(&config.name).map_err(usable)?;
    let stream = TlsConnector::from(Arc::new(tls))
        .connect(name, tcp)
        .await
        .map_err(|error| Trouble::unreachable(format!("no TLS: {error}")))?;
    Ok(Stream::Tls(Box::new(stream.into())))
}
