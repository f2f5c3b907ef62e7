//! A directory of another machine, over FTPS.

use std::io::{self, ErrorKind, Read, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::Place;
use super::control::{Control, Tls, ended, lost};
use super::listing::{self, Line};
use crate::codes;
use crate::files::{Directory, Entry, Trouble, is_name, split};

/// Names that are looked at in one directory, whatever they are.
const NAMES: usize = 100_000;
/// How often a file that is being read is taken up again at the same place.
const RESUMED: u32 = 3;
/// Sessions that wait for the next thing to do.
const IDLE: usize = 4;

/// A directory of another machine.
pub struct Remote {
    shared: Arc<Shared>,
}

struct Shared {
    place: Arc<ArcSwap<Place>>,
    /// A session does one thing at a time; these have nothing to do.
    idle: Mutex<Vec<Control>>,
}

impl Remote {
    /// With settings that stay.
    pub fn of(place: Place) -> Self {
        Self::new(Arc::new(ArcSwap::from_pointee(place)))
    }

    /// Nothing is connected before it is needed. What is set may change while it is in use.
    pub fn new(place: Arc<ArcSwap<Place>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                place,
                idle: Mutex::default(),
            }),
        }
    }
}

impl Shared {
    /// A session that was at rest, where it still is of what is set; and whether it is one.
    fn rested(&self) -> Option<Control> {
        let place = self.place.load_full();
        let mut idle = self.idle.lock();
        idle.retain(|one| Arc::ptr_eq(&one.place, &place));
        idle.pop()
    }

    fn rest(&self, control: Control) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE {
            idle.push(control);
        }
    }

    /// Does something that may be done twice. A session that was at rest may have been ended meanwhile:
    /// then it is done with a new one.
    fn with<T>(&self, mut does: impl FnMut(&mut Control) -> io::Result<T>) -> io::Result<T> {
        if let Some(mut control) = self.rested() {
            match does(&mut control) {
                Err(error) if error.kind() == ErrorKind::NotConnected => {
                    tracing::debug!(%error, "a session that was at rest is over");
                }
                done => {
                    self.rest_after(control, &done);
                    return done;
                }
            }
        }
        let mut control = Control::open(self.place.load_full())?;
        let done = does(&mut control);
        self.rest_after(control, &done);
        done
    }

    /// A session of which it is not known what it would say next is not used again.
    fn rest_after<T>(&self, control: Control, done: &io::Result<T>) {
        let told = match done {
            Ok(_) => true,
            Err(error) => {
                matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists)
                    && Trouble::of(error).is_none_or(|trouble| trouble.code == codes::FTPS_REFUSED)
            }
        };
        if told {
            self.rest(control);
        }
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, text)
}

impl Control {
    fn is_there(&mut self, path: &str) -> io::Result<bool> {
        // A size can only be asked of a file; of a directory it is refused like of nothing.
        Ok(self.size(path)?.is_some())
    }

    /// Makes a directory where it is not there: servers refuse to make what is.
    fn make(&mut self, path: &str) -> io::Result<()> {
        let made = self.say(&[b"MKD ", path.as_bytes()])?;
        if made.is_good() {
            return Ok(());
        }
        let refused = made.error("making a directory");
        if self.is_folder(path, &refused)? {
            Ok(())
        } else {
            Err(refused)
        }
    }

    fn delete(&mut self, path: &str) -> io::Result<()> {
        let reply = self.say(&[b"DELE ", path.as_bytes()])?;
        if reply.is_good() || (reply.code == 550 && !self.is_there(path)?) {
            Ok(())
        } else {
            Err(reply.error("deleting a file"))
        }
    }

    fn give_name(&mut self, from: &str, to: &str) -> io::Result<()> {
        let reply = self.say(&[b"RNFR ", from.as_bytes()])?;
        if reply.code != 350 {
            return Err(reply.error("giving a file another name"));
        }
        let reply = self.say(&[b"RNTO ", to.as_bytes()])?;
        if reply.is_good() {
            Ok(())
        } else {
            Err(reply.error("giving a file another name"))
        }
    }

    /// Whether a directory is there that could not be listed. Servers use many words for one that is not.
    fn is_folder(&mut self, path: &str, error: &io::Error) -> io::Result<bool> {
        if Trouble::of(error).is_none_or(|trouble| trouble.code != codes::FTPS_REFUSED) {
            return Ok(true);
        }
        let there = self.say(&[b"CWD ", path.as_bytes()])?.is_good();
        let home = self.path(None, None);
        self.order(&[b"CWD ", home.as_bytes()].concat(), "going back")?;
        Ok(there)
    }

    fn names(&mut self, below: &str) -> io::Result<Vec<Line>> {
        let folder = self.path((!below.is_empty()).then_some(below), None);
        let text = if self.features.mlst {
            self.list(b"MLSD", &folder)
        } else {
            // A path after `LIST` may be taken for options; so one goes there.
            let reply = self.say(&[b"CWD ", folder.as_bytes()])?;
            if reply.is_good() {
                self.list(b"LIST", "")
            } else {
                Err(reply.error("listing a directory"))
            }
        };
        let text = match text {
            Ok(text) => text,
            Err(error) if !below.is_empty() && !self.is_folder(&folder, &error)? => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let read = if self.features.mlst {
            listing::machine
        } else {
            listing::for_people
        };
        let lines = text.lines().take(NAMES).filter_map(read);
        Ok(lines
            .filter(|line| line.plain && is_name(&line.name))
            .collect())
    }

    /// What is known of a file right now.
    fn known(&mut self, path: &str) -> io::Result<(u64, SystemTime)> {
        let size = self.size(path)?.ok_or(ErrorKind::NotFound)?;
        Ok((size, self.modified(path)?))
    }
}

impl Directory for Remote {
    fn list(&self, below: &str, most: usize) -> io::Result<Vec<Entry>> {
        if !below.is_empty() && !is_name(below) {
            return Err(invalid("the name leads elsewhere"));
        }
        self.shared.with(|control| {
            let mut all = Vec::new();
            for line in control.names(below)? {
                if all.len() >= most {
                    break;
                }
                let path = control.path((!below.is_empty()).then_some(below), Some(&line.name));
                let (size, modified) = match (line.size, line.modified) {
                    (Some(size), Some(modified)) => (size, modified),
                    _ => match control.known(&path) {
                        Ok(known) => known,
                        // One that is gone meanwhile is not there.
                        Err(error) if error.kind() == ErrorKind::NotFound => continue,
                        Err(error) => return Err(error),
                    },
                };
                all.push(Entry {
                    name: line.name,
                    size,
                    modified,
                });
            }
            Ok(all)
        })
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        let (below, name) = split(path)?;
        let (path, of) = self.shared.with(|control| {
            let path = control.path(below, Some(name));
            let of = control.known(&path)?;
            Ok((path, of))
        })?;
        let mut reading = Reading {
            shared: Arc::clone(&self.shared),
            open: None,
            path,
            of,
            given: 0,
            at_end: false,
            resumed: (0, 0),
        };
        reading.begin()?;
        Ok(Box::new(reading))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_below, from), (to_below, to)) = (split(from)?, split(to)?);
        self.shared.with(|control| {
            if let Some(below) = to_below {
                let folder = control.path(Some(below), None);
                control.make(&folder)?;
            }
            let from = control.path(from_below, Some(from));
            let to = control.path(to_below, Some(to));
            // The protocol has no word for "and replace nothing".
            if control.is_there(&to)? {
                return Err(ErrorKind::AlreadyExists.into());
            }
            control.give_name(&from, &to)
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (below, name) = split(path)?;
        self.shared.with(|control| {
            let path = control.path(below, Some(name));
            control.delete(&path)
        })
    }

    fn write(&self, path: &str, from: &mut dyn Read) -> io::Result<()> {
        let (below, name) = split(path)?;
        // What is read here cannot be read twice: a session at rest is asked first whether it still is one.
        self.shared.with(|control| control.say(&[b"NOOP"]))?;
        let mut begun = false;
        let ended = self.shared.with(|control| {
            if std::mem::replace(&mut begun, true) {
                return Err(lost("the connection ended while a file was written"));
            }
            let temporary = control.path(below, Some(&format!(".{name}.part")));
            let path = control.path(below, Some(name));
            if let Some(below) = below {
                let folder = control.path(Some(below), None);
                control.make(&folder)?;
            }
            let written = control.store(&temporary, from)?;
            if control.size(&temporary)? != Some(written) {
                return Err(lost("the server has not all of a file"));
            }
            if let Err(error) = control.give_name(&temporary, &path) {
                // Some servers replace nothing; an attempt before this one may have written it.
                if !control.is_there(&path)? {
                    return Err(error);
                }
                control.delete(&path)?;
                control.give_name(&temporary, &path)?;
            }
            Ok(())
        });
        if let Err(error) = &ended
            && error.kind() != ErrorKind::NotConnected
        {
            let removed = self.shared.with(|control| {
                let temporary = control.path(below, Some(&format!(".{name}.part")));
                control.delete(&temporary)
            });
            // It would only take up room; the error that counts is the first.
            if let Err(second) = removed {
                tracing::debug!(error = %second, "a part of a file stays");
            }
        }
        ended
    }

    fn describe(&self) -> String {
        let place = self.shared.place.load();
        let (config, host) = (&place.config, &place.config.host);
        let directory = config.directory.trim_matches('/');
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let at = format!("ftps://{host}:{}", config.port);
        if directory.is_empty() {
            at
        } else {
            format!("{at}/{directory}")
        }
    }
}

/// A file that is being read. It has a session for itself until it is read to its end.
struct Reading {
    shared: Arc<Shared>,
    open: Option<(Control, Tls)>,
    path: String,
    /// Size and time, by which it is known as the same.
    of: (u64, SystemTime),
    given: u64,
    at_end: bool,
    /// How often it was taken up again without getting on, and where that was.
    resumed: (u32, u64),
}

impl Reading {
    /// Opens it where it was.
    fn begin(&mut self) -> io::Result<()> {
        let mut control = match self.shared.rested() {
            Some(mut control) => match control.known(&self.path) {
                Ok(_) => control,
                Err(_) => Control::open(self.shared.place.load_full())?,
            },
            None => Control::open(self.shared.place.load_full())?,
        };
        if control.known(&self.path)? != self.of {
            return Err(Trouble::error(
                ErrorKind::InvalidData,
                codes::FTPS_LOST,
                "a file is another than it was when it was opened",
            ));
        }
        let data = control.begin(b"RETR", &self.path, self.given, "reading a file")?;
        self.open = Some((control, data));
        Ok(())
    }

    fn next(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some((mut control, mut data)) = self.open.take() else {
            return Err(lost("no connection"));
        };
        let length = data.read(into).map_err(ended)?;
        if length > 0 {
            self.open = Some((control, data));
            return Ok(length);
        }
        // Some servers confirm a file only when this side has said goodbye, too.
        data.conn.send_close_notify();
        data.flush().map_err(ended)?;
        drop(data);
        control.end("reading a file")?;
        if self.given != self.of.0 {
            return Err(lost("a file ends before its end"));
        }
        self.shared.rest(control);
        self.at_end = true;
        Ok(0)
    }
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at_end || into.is_empty() {
            return Ok(0);
        }
        loop {
            let mut lost = match self.next(into) {
                Ok(length) => {
                    self.given += length as u64;
                    if self.given > self.of.0 {
                        return Err(invalid("a file is longer than it was when it was opened"));
                    }
                    return Ok(length);
                }
                Err(error) if error.kind() == ErrorKind::NotConnected => error,
                Err(error) => return Err(error),
            };
            loop {
                if self.resumed.1 != self.given {
                    self.resumed = (0, self.given);
                }
                self.resumed.0 += 1;
                if self.resumed.0 > RESUMED {
                    return Err(lost);
                }
                tracing::debug!(error = %lost, at = self.given, "a file is taken up again");
                match self.begin() {
                    Ok(()) => break,
                    Err(error) if error.kind() == ErrorKind::NotConnected => lost = error,
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
