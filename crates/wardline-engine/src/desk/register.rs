//! Clients that say themselves where they want to be told: what they may register, and what is
//! tried before it counts.
//!
//! Who registers an address makes this house call it. So it has to be public (by its text now, by
//! what its name leads to at every connection), it has to take a signed request, which shows that
//! whoever is there expects ours, and one registration of an endpoint runs at a time.

use super::webhooks::{trial, trial_request, view};
use super::{Desk, DeskError};
use crate::view::WebhookView;
use crate::webhook::{self, Standing};
use std::sync::Arc;
use wardline_connect::http::why_not_public;
use wardline_estate::model::{Client, ClientWebhook, Estate};
use wardline_store::Change;
use wardline_vault::AuditEntry;

/// Longest address that is taken.
const LONGEST: usize = 2_048;

/// Why an address is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The client has no such endpoint, or none that it registers itself.
    #[error("this client has no endpoint of this name to register")]
    NotFound,
    /// The address cannot be used. Says nothing about what is inside.
    #[error("this address is not taken: {0}")]
    Refused(&'static str),
    /// Another registration is under way.
    #[error("another registration of this endpoint is under way")]
    Busy,
    /// It could not be written down.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl Desk {
    /// The endpoints of a client.
    ///
    /// # Errors
    /// Where the journal does not answer.
    pub async fn webhooks_of(&self, client: &str) -> Result<Vec<WebhookView>, DeskError> {
        let mut all = self.webhooks().await?;
        all.retain(|one| one.client == client);
        Ok(all)
    }

    /// Takes an address that a client registers for an endpoint of its own. What waits is sent
    /// there.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing is changed then.
    pub async fn register_webhook(
        &self,
        client: &str,
        name: &str,
        url: &str,
    ) -> Result<WebhookView, RegisterError> {
        let estate = self.in_force();
        let (owner, declared) = own(&estate, client, name)?;
        let endpoint = self.endpoint(name).ok_or(RegisterError::NotFound)?;
        let Ok(_alone) = endpoint.registering.try_lock() else {
            return Err(RegisterError::Busy);
        };
        if url.len() > LONGEST {
            return Err(RegisterError::Refused("it is too long"));
        }
        if let Some(why) = why_not_public(url) {
            return Err(RegisterError::Refused(why));
        }
        let sender = endpoint
            .sender_to(url)
            .map_err(|_| RegisterError::Refused("it is not a URL that can be called"))?;
        let (id, body) = trial(self.acceptor.clock.now());
        if let Err(failure) = sender.send(trial_request(&id, body)).await {
            // Why is for the audit log: answers of others' addresses are not the client's to read.
            let entry = AuditEntry::new(format!("client:{client}"), "webhook.refuse", name)
                .with("url", url)
                .with("error", failure.to_string());
            self.record(&entry).await?;
            return Err(RegisterError::Refused("it did not take a signed request"));
        }
        let standing = Standing {
            url: Some(url.to_owned()),
            ..Standing::default()
        };
        let entry = AuditEntry::new(format!("client:{client}"), "webhook.register", name)
            .with("url", url)
            .with("id", id);
        self.commit_audited(&entry, vec![kept(name, &standing)])
            .await?;
        let now = self
            .endpoint(name)
            .filter(|now| !Arc::ptr_eq(now, &endpoint));
        match now.map(|now| (now.sender_to(url), now)) {
            // The estate was read again meanwhile: the endpoint signs as its file says now.
            Some((Ok(sender), now)) => now.moved(Some((url.to_owned(), sender))),
            _ => endpoint.moved(Some((url.to_owned(), sender))),
        }
        let sym = self.acceptor.store.lookup(&webhook::destination(name));
        if let Some(channel) = sym.and_then(|sym| self.dispatcher.channel(sym)) {
            channel.resumed();
        }
        Ok(view(owner, declared, &standing))
    }

    /// Forgets the address of a client's endpoint; events for it wait.
    ///
    /// # Errors
    /// As [`Desk::register_webhook`].
    pub async fn unregister_webhook(&self, client: &str, name: &str) -> Result<(), RegisterError> {
        own(&self.in_force(), client, name)?;
        let endpoint = self.endpoint(name).ok_or(RegisterError::NotFound)?;
        let Ok(_alone) = endpoint.registering.try_lock() else {
            return Err(RegisterError::Busy);
        };
        let entry = AuditEntry::new(format!("client:{client}"), "webhook.unregister", name);
        self.commit_audited(&entry, vec![kept(name, &Standing::default())])
            .await?;
        endpoint.moved(None);
        if let Some(now) = self
            .endpoint(name)
            .filter(|now| !Arc::ptr_eq(now, &endpoint))
        {
            now.moved(None);
        }
        Ok(())
    }
}

fn own<'e>(
    estate: &'e Estate,
    client: &str,
    name: &str,
) -> Result<(&'e Client, &'e ClientWebhook), RegisterError> {
    let owner = estate.clients.get(client);
    let declared = owner.and_then(|owner| {
        let mut all = owner.webhooks.iter();
        all.find(|webhook| webhook.name == name && webhook.url.is_none())
    });
    owner.zip(declared).ok_or(RegisterError::NotFound)
}

fn kept(name: &str, standing: &Standing) -> Change {
    Change::SetMeta {
        name: webhook::destination(name),
        value: standing.to_bytes(),
    }
}
