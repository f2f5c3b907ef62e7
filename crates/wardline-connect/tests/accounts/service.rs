//! A SCIM service of ours: held against `scim2-tester`, spoken to by `scim2-client` and by our own
//! half that sends. What is kept stands in memory here; the engine keeps it in the journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wardline_connect::http::{
    InboundAuth, Ingress, IngressConfig, OutboundConfig as WebConfig, Route,
};
use wardline_connect::scim::{Endpoint, Outbound, OutboundConfig, Proof};
use wardline_connect::{
    Intake, Kept, Outbound as _, Received, Request, Resource, ResourceBy, ResourceChange,
    ResourceState, Resources, Secret, Verdict,
};
use wardline_core::{Id, MessageId};

struct Row {
    kind: u8,
    state: ResourceState,
    resource: Resource,
}

/// Keeps messages and resources in memory.
#[derive(Default)]
struct Keeper {
    rows: Mutex<Vec<Row>>,
    told: Mutex<Vec<Value>>,
    given: Mutex<Vec<String>>,
}

#[async_trait]
impl Intake for Keeper {
    async fn accept(&self, _: Received) -> Verdict {
        panic!("every message here changes a resource");
    }

    fn resources(&self) -> Option<&dyn Resources> {
        Some(self)
    }
}

#[async_trait]
impl Resources for Keeper {
    async fn keep(&self, received: Received, change: ResourceChange) -> Kept {
        let mut rows = self.rows.lock();
        let at = rows.iter().position(|row| row.resource.id == change.id);
        let version = at.map(|at| rows[at].resource.version);
        if version != change.was {
            return Kept::Changed;
        }
        if let Some(unique) = change.now.as_ref().and_then(|now| now.unique.as_ref()) {
            let mut others = rows.iter().filter(|row| row.resource.id != change.id);
            if others
                .any(|row| row.kind == change.kind && row.state.unique.as_ref() == Some(unique))
            {
                return Kept::Taken;
            }
        }
        let place = at.map(|at| rows.remove(at).resource.place);
        if let Some(state) = change.now {
            let place = place.unwrap_or_else(|| {
                rows.iter().map(|row| row.resource.place).max().unwrap_or(0) + 1
            });
            let resource = Resource {
                place,
                id: change.id,
                version: version.unwrap_or(0) + 1,
                body: state.body.clone(),
            };
            rows.push(Row {
                kind: change.kind,
                state,
                resource,
            });
            rows.sort_by_key(|row| row.resource.place);
        }
        let mut told = self.told.lock();
        told.push(serde_json::from_slice(&received.body).unwrap());
        Kept::Accepted(MessageId(Id::from_parts(
            1_764_000_000_000,
            0,
            told.len() as u16,
        )))
    }

    async fn find(&self, _: &str, kind: u8, by: ResourceBy<'_>) -> Result<Vec<Resource>, Verdict> {
        let rows = self.rows.lock();
        let fits = |row: &&Row| {
            row.kind == kind
                && match by {
                    ResourceBy::Id(id) => row.resource.id == id,
                    ResourceBy::Unique(text) => row.state.unique.as_deref() == Some(text),
                    ResourceBy::Known(text) => row.state.known.as_deref() == Some(text),
                }
        };
        let found = rows.iter().filter(fits).take(2);
        Ok(found.map(|row| row.resource.clone()).collect())
    }

    async fn some(
        &self,
        _: &str,
        kind: u8,
        after: i64,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<Resource>, Verdict> {
        let rows = self.rows.lock();
        let fits = rows
            .iter()
            .filter(|row| row.kind == kind && row.resource.place > after);
        // A few at a time, as a journal may give them.
        let some = fits.skip(skip as usize).take(limit.min(3));
        Ok(some.map(|row| row.resource.clone()).collect())
    }

    async fn count(&self, _: &str, kind: u8) -> Result<u64, Verdict> {
        let rows = self.rows.lock();
        Ok(rows.iter().filter(|row| row.kind == kind).count() as u64)
    }

    async fn given(&self, _: &str, what: String) -> Result<(), Verdict> {
        self.given.lock().push(what);
        Ok(())
    }

    fn marked(&self, _: &str, text: &str) -> Result<String, Verdict> {
        Ok(text.to_owned())
    }

    fn unmarked(&self, _: &str, words: &str) -> Option<String> {
        Some(words.to_owned())
    }
}

struct Service {
    keeper: Arc<Keeper>,
    base: String,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Service {
    async fn open() -> Self {
        let endpoint = Arc::new(Endpoint::new("/scim/v2", None, false, Proof::Bearer));
        let auth = InboundAuth::Bearer(vec![Secret::from("open-sesame")].into());
        let route = Route::post("hr.people", "/scim/v2", auth);
        let config = IngressConfig::new("partner", "127.0.0.1:0", route.scim(&endpoint));
        let ingress = Ingress::bind(config).await.unwrap();
        let base = format!("http://{}/scim/v2", ingress.local_addr());
        let (keeper, stop) = (Arc::new(Keeper::default()), CancellationToken::new());
        let intake = Arc::clone(&keeper) as Arc<dyn Intake>;
        let task = tokio::spawn(ingress.run(intake, stop.clone()));
        Self {
            keeper,
            base,
            stop,
            task,
        }
    }

    async fn close(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn python() -> Option<PathBuf> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let python = root.join("py/bin/python");
    let known = std::process::Command::new(&python)
        .args(["-c", "import scim2_tester, scim2_client, httpx2"])
        .output()
        .is_ok_and(|ended| ended.status.success());
    if !known {
        println!("skipped: scim2-tester and scim2-client are not installed (cargo xtask peers)");
    }
    known.then_some(python)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_testers_of_others_find_no_fault() {
    let Some(python) = python() else {
        return;
    };
    let service = Service::open().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/accounts/scim_peer.py");
    let ended = tokio::process::Command::new(python)
        .arg(script)
        .args([&service.base, "open-sesame"])
        .output()
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&ended.stderr).into_owned();
    let said: Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{error}"));
    assert_eq!(said["rest"], json!([]), "{said:#}");
    assert!(said["good"].as_u64() > Some(20), "{said:#}");
    assert_eq!(said["found"], 1);
    assert_eq!(said["twice"], json!([409, "uniqueness"]));
    assert_eq!(said["replaced"], "Barbara");
    assert_eq!(
        (&said["member"], &said["gone"]),
        (&json!(true), &json!(404))
    );
    service.close().await;
}

#[tokio::test]
async fn our_own_half_that_sends_is_understood() {
    let service = Service::open().await;
    let mut web = WebConfig::new("iam.api", service.base.as_str());
    web.auth = wardline_connect::http::OutboundAuth::Bearer(Secret::from("open-sesame"));
    let iam = Outbound::new(OutboundConfig { http: web }).unwrap();
    for (key, verb, body) in [
        (
            "1",
            "put-user",
            json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "externalId": "E1", "userName": "jane", "active": true }),
        ),
        (
            "2",
            "patch-user",
            json!({ "externalId": "E1", "title": "nurse" }),
        ),
        (
            "3",
            "put-group",
            json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "externalId": "G1", "displayName": "ward", "members": ["E1"] }),
        ),
        ("4", "deactivate-user", json!({ "externalId": "E1" })),
        ("5", "deactivate-user", json!({ "externalId": "E1" })),
        (
            "6",
            "patch-group",
            json!({ "externalId": "G1", "remove_members": ["E1"] }),
        ),
        ("7", "delete-user", json!({ "externalId": "E1" })),
    ] {
        let path = format!("/{verb}");
        let sent = iam.send(Request {
            idempotency_key: key,
            attempt: 1,
            correlation: key,
            body: Bytes::from(body.to_string()),
            content_type: "application/json",
            method: None,
            path: Some(&path),
        });
        sent.await
            .unwrap_or_else(|failure| panic!("{verb}: {failure:?}"));
    }
    let told = service.keeper.told.lock().clone();
    let said: Vec<String> = told
        .iter()
        .map(|one| {
            let mut changed: Vec<&str> = one["changed"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            changed.sort_unstable();
            format!(
                "{} {} {}",
                one["type"].as_str().unwrap(),
                one["event"].as_str().unwrap(),
                json!(changed)
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            "User created [\"active\",\"externalId\",\"userName\"]",
            "User changed [\"title\"]",
            "Group created [\"displayName\",\"externalId\",\"members\"]",
            "User changed [\"active\"]",
            "Group changed [\"members\"]",
            "User deleted []",
        ]
    );
    assert_eq!(told[3]["before"], json!({ "active": true }));
    assert!(!service.keeper.given.lock().is_empty());
    service.close().await;
}
