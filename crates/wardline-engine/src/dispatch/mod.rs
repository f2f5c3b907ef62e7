//! Deliveries on their way: one task per outbound connection, each with a bounded window over
//! the journal.
//!
//! The journal's writer calls [`Dispatcher::committed`] in id order, which is the order of
//! acceptance; a connection with room takes the delivery straight into memory, so that in
//! the usual case nothing is read back. Order per key, back-pressure and recovery do not
//! depend on it: whatever is not taken is read later.

pub(crate) mod backoff;
pub(crate) mod channel;
pub(crate) mod gate;
mod key_queue;
pub(crate) mod path;
pub(crate) mod queue;
mod reading;
pub(crate) mod share;
mod verdict;
mod window;

use crate::process::Runner;
use ahash::AHashMap;
use arc_swap::ArcSwap;
use channel::{Channel, Destination};
use queue::Group;
use std::sync::{Arc, OnceLock};
use wardline_core::{Sym, Timestamp};
use wardline_store::{CommitListener, DeliveryRow, Mail, Ready};

/// Which connection each destination goes through, at one time.
#[derive(Default)]
pub(crate) struct Routes {
    channels: Vec<Arc<Channel>>,
    by_destination: AHashMap<Sym, usize>,
}

impl Routes {
    pub(crate) fn new(channels: Vec<Arc<Channel>>) -> Self {
        let by_destination = channels
            .iter()
            .enumerate()
            .flat_map(|(index, channel)| channel.destinations.keys().map(move |sym| (*sym, index)))
            .collect();
        Self {
            channels,
            by_destination,
        }
    }

    fn channel(&self, destination: Sym) -> Option<&Arc<Channel>> {
        self.by_destination
            .get(&destination)
            .map(|index| &self.channels[*index])
    }
}

/// All outbound connections of the running estate. Their tasks belong to whoever puts them here.
#[derive(Default)]
pub(crate) struct Dispatcher {
    routes: ArcSwap<Routes>,
    /// Who is told of mail and timers; nobody where no engine runs.
    runner: OnceLock<Arc<Runner>>,
}

impl Dispatcher {
    /// From now on processes are told of their mail. Only the first call counts.
    pub(crate) fn tell(&self, runner: Arc<Runner>) {
        // An engine has one.
        drop(self.runner.set(runner));
    }

    /// Another plan is in force: what processes could not do before they may now.
    pub(crate) fn look_again(&self) {
        if let Some(runner) = self.runner.get() {
            runner.look_again();
        }
    }

    /// From now on deliveries go through these.
    pub(crate) fn replace(&self, routes: Routes) {
        self.routes.store(Arc::new(routes));
    }

    /// The connection that a destination goes through.
    pub(crate) fn channel(&self, destination: Sym) -> Option<Arc<Channel>> {
        self.routes.load().channel(destination).cloned()
    }

    pub(crate) fn destination(&self, sym: Sym) -> Option<Arc<Destination>> {
        self.channel(sym)?.destinations.get(&sym).cloned()
    }

    pub(crate) fn destinations(&self) -> Vec<Arc<Destination>> {
        let routes = self.routes.load();
        let channels = routes.channels.iter();
        channels
            .flat_map(|channel| channel.destinations.values().cloned())
            .collect()
    }

    /// A person changed these deliveries: what is in memory of their keys is read again.
    pub(crate) fn revisit<'a>(&self, rows: impl IntoIterator<Item = &'a DeliveryRow>) {
        let routes = self.routes.load();
        for row in rows {
            if let Some(channel) = routes.channel(row.destination) {
                let group = row
                    .key
                    .as_ref()
                    .map_or(Group::Single(row.id), |key| Group::Key(key.index));
                channel.revisit(row.lane, group, row.id.0);
            }
        }
    }
}

impl CommitListener for Dispatcher {
    fn committed(&self, ready: &[Ready]) {
        let routes = self.routes.load();
        // A fan-out alternates between connections, so sort it out before taking locks.
        let mut by_channel: Vec<Vec<&Ready>> = vec![Vec::new(); routes.channels.len()];
        for one in ready {
            if let Some(index) = routes.by_destination.get(&one.destination) {
                by_channel[*index].push(one);
            }
        }
        for (channel, ready) in routes.channels.iter().zip(by_channel) {
            if !ready.is_empty() {
                channel.offer(&ready);
            }
        }
    }

    fn answered(&self) {
        for channel in &self.routes.load().channels {
            channel.begin();
        }
    }

    fn mailed(&self, _: &[Mail]) {
        if let Some(runner) = self.runner.get() {
            runner.mailed();
        }
    }

    fn timed(&self, _: Timestamp) {
        if let Some(runner) = self.runner.get() {
            runner.timed();
        }
    }
}
