//! The demo's callers of Apis: the example's two clients, with keys of this run.

use anyhow::Context as _;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use wardline_core::Zone;
use wardline_engine::Plan;
use wardline_sim::{ApiAsk, ApiClient, ApiPlan, ApiReport, ClientKeys};

/// From one call to the next of each client: enough to be seen, too little to be felt.
const EVERY: Duration = Duration::from_secs(2);
/// The clients of the example estate and the zone that each comes from.
const CLIENTS: [(&str, Zone); 2] = [("ghx", Zone::Partner), ("purchasing", Zone::Internal)];

/// Clients that the estate knows and that have not begun.
pub(crate) struct Callers(Vec<(&'static str, Zone, ClientKeys)>);

/// Clients that call.
pub(crate) struct Calling(Vec<ApiClient>);

impl Callers {
    /// Gives the example's clients keys: the public halves go to the estate in `dir`.
    pub(crate) fn introduce(dir: &Path) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for (client, zone) in CLIENTS {
            let keys = ClientKeys::generate()?;
            let file = dir.join(format!("clients/{client}.jwks.json"));
            std::fs::write(&file, keys.jwks())
                .with_context(|| format!("cannot write {}", file.display()))?;
            all.push((client, zone, keys));
        }
        Ok(Self(all))
    }

    /// Begins to call, each at its zone's listener.
    pub(crate) fn begin(self, plan: &Plan) -> anyhow::Result<Calling> {
        let mut calling = Vec::new();
        for (client, zone, keys) in self.0 {
            let mut listeners = plan.estate.listeners.values();
            let listener = listeners
                .find(|listener| listener.zone == zone)
                .with_context(|| format!("the estate has no listener where {client} comes in"))?;
            calling.push(ApiClient::start(ApiPlan {
                base: format!("http://{}", listener.bind.value),
                client: client.to_owned(),
                keys,
                asks: asks(client),
                every: EVERY,
            }));
        }
        Ok(Calling(calling))
    }
}

impl Calling {
    /// Ends with the calls in hand; what came of all.
    pub(crate) async fn stop(self) -> anyhow::Result<ApiReport> {
        let mut sum = ApiReport::default();
        for client in self.0 {
            sum += client.stop().await?;
        }
        Ok(sum)
    }
}

/// What each asks, in turn.
fn asks(client: &str) -> Vec<ApiAsk> {
    if client == "ghx" {
        // A partner looks at cards; which ERP answers it cannot see.
        let card = |number, facility| {
            ApiAsk::get(format!("/supplier-portal/v1/suppliers/{number}/card"))
                .with("x-facility", facility)
        };
        return vec![
            card("V-100", "north"),
            card("V-200", "south"),
            card("V-300", "north"),
        ];
    }
    let base = "/supplier-master/v1/suppliers";
    let new = json!({ "supplier_id": "V-900", "name": "Dorset Instruments", "status": "active", "payment_terms": "N30" });
    vec![
        ApiAsk::get(format!("{base}/V-100"))
            .with("x-purpose-of-use", "payment")
            .with("x-facility", "north"),
        // The same again and again: carried out once, because it bears the same key.
        ApiAsk::post(base, new, "demo-V-900").with("x-purpose-of-use", "operations"),
        ApiAsk::get(format!("{base}/V-200"))
            .with("x-purpose-of-use", "operations")
            .with("x-facility", "south"),
    ]
}
