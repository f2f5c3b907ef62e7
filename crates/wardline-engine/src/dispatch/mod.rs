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
mod path;
pub(crate) mod queue;
mod reading;
pub(crate) mod share;
mod verdict;
mod window;

use ahash::AHashMap;
use channel::{Channel, Destination};
use queue::Group;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_core::Sym;
use wardline_store::{CommitListener, DeliveryRow, Ready};

/// All outbound connections of the running estate.
pub(crate) struct Dispatcher {
    channels: Vec<Arc<Channel>>,
    by_destination: AHashMap<Sym, usize>,
}

impl Dispatcher {
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

    /// The connection that a destination goes through.
    pub(crate) fn channel(&self, destination: Sym) -> Option<&Arc<Channel>> {
        self.by_destination
            .get(&destination)
            .map(|index| &self.channels[*index])
    }

    pub(crate) fn destination(&self, sym: Sym) -> Option<&Arc<Destination>> {
        self.channel(sym)?.destinations.get(&sym)
    }

    pub(crate) fn destinations(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.channels
            .iter()
            .flat_map(|channel| channel.destinations.values())
    }

    /// Runs every connection until shutdown; returns when all have drained.
    pub(crate) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        for channel in &self.channels {
            tasks.spawn(Arc::clone(channel).run(shutdown.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a connection stopped abnormally; its deliveries wait for a restart");
            }
        }
    }

    /// A person changed these deliveries: what is in memory of their keys is read again.
    pub(crate) fn revisit<'a>(&self, rows: impl IntoIterator<Item = &'a DeliveryRow>) {
        for row in rows {
            if let Some(channel) = self.channel(row.destination) {
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
        // A fan-out alternates between connections, so sort it out before taking locks.
        let mut by_channel: Vec<Vec<&Ready>> = vec![Vec::new(); self.channels.len()];
        for one in ready {
            if let Some(index) = self.by_destination.get(&one.destination) {
                by_channel[*index].push(one);
            }
        }
        for (channel, ready) in self.channels.iter().zip(by_channel) {
            if !ready.is_empty() {
                channel.offer(&ready);
            }
        }
    }

    fn answered(&self) {
        for channel in &self.channels {
            channel.begin();
        }
    }
}
