//! The estate that is killed: one process with every kind of step that waits, called, told and
//! timed, and all its systems at one address.

use crate::house::House;
use aws_lc_rs::digest;

/// What the client shows.
pub(crate) const API_KEY: &str = "a-long-random-key-of-a-buyer-0123456789abcdef";

/// What every step does is told apart by the path that it is sent to: `/stock/reserve`.
const PROCESS: &str = r#"process: supply
version: 1
owner: supply-chain
entity: order
on: order.approved
key: .order.number
facility: .order.facility
statuses: [ordered, acknowledged, chased, sent, paid, refused, late]
show: { lines: .order.lines }
deadline: { by: 4h, steps: [ { late: { status: late } } ] }
retry: { first: 20ms, factor: 2, max: 300ms, attempts: 0, jitter: full }
steps:
  - reserve:
      call: stock.reserve
      with: { order: .order.number }
      expect: .ok == true
      save: reserved
      undo: { call: stock.release, with: { order: .order.number } }
  - place:
      call: suppliers.place
      with: { order: .order.number }
      save: placed
      status: ordered
      undo: { call: suppliers.cancel, with: { order: .order.number } }
  - tell: { emit: placement.told, with: { order: .order.number } }
  - both:
      parallel:
        money:
          - commit:
              call: books.commit
              with: { order: .order.number }
              undo: { call: books.uncommit, with: { order: .order.number } }
        notice:
          - pause: { sleep: 100ms }
          - inform: { call: books.inform, with: { order: .order.number } }
  - acknowledged:
      wait:
        event: acknowledgement.told
        where: .order == instance.key && .promised == true
        until: .order.acknowledge_by
        else: [ { chase: { call: suppliers.chase, with: { order: .order.number }, status: chased } } ]
      save: acknowledgement
  - take: { status: acknowledged, when: exists(.acknowledgement) }
  - lines:
      each: .order.lines
      as: line
      at_once: 2
      steps:
        - pick:
            call: stock.pick
            with: { order: .order.number, line: .line }
            undo: { call: stock.unpick, with: { order: .order.number, line: .line } }
  - rest: { sleep: 150ms }
  - approve:
      when: .order.asked == true
      task: { role: buyer, ask: "Send it?", choices: [now, later] }
      save: approval
  - approved:
      when: .order.asked == true
      call: books.approve
      with: { order: .order.number, line: .approval.choice }
  - how:
      choose:
        - when: .order.urgent == true
          steps: [ { fly: { call: carrier.fly, with: { order: .order.number } } } ]
        - else: [ { drive: { call: carrier.drive, with: { order: .order.number } } } ]
  - send: { status: sent }
  - received:
      wait: { event: receipt.booked, where: .order == instance.key }
      save: receipt
  - settle:
      call: books.settle
      with: { order: .order.number, by: .receipt.by }
      expect: .ok == true
      on_failure:
        - refuse: { status: refused }
        - stop: { fail: "not settled", undo: true }
      status: paid
"#;

const APIS: &str = r#"api: orders
owner: supply-chain
layer: process
version: 1.0.0
state: published
operations:
  start: { post: "/orders", accepts: order, scope: order.write, starts: supply, idempotent: key }
  status: { get: "/orders/{id}", scope: order.write, status: supply }
  acknowledge: { post: "/acknowledgements", accepts: acknowledgement, scope: order.write, event: acknowledgement.told, idempotent: key }
---
api: suppliers
owner: supply-chain
layer: system
version: 1.0.0
state: published
operations:
  place: { post: "/orders", accepts: placement, scope: order.write }
  cancel: { post: "/cancellations", accepts: placement, scope: order.write }
  chase: { post: "/reminders", accepts: placement, scope: order.write }
bindings:
  - { system: network-south, when: .facility == "south" }
  - { system: network }
"#;

/// Several systems at one address, each with its operations.
const SYSTEMS: &[(&str, &[&str])] = &[
    ("stock", &["reserve", "release", "pick", "unpick"]),
    ("network", &["place", "cancel", "chase"]),
    ("network-south", &["place", "cancel", "chase"]),
    (
        "books",
        &["commit", "uncommit", "inform", "approve", "settle", "note"],
    ),
    ("carrier", &["fly", "drive"]),
];

const FLOWS: &str = "flow: receipts
owner: supply-chain
from: dock.adt
key: hl7(\"PV1-19.1\")
map: maps/receipt.vrl
emit: receipt.booked
---
flow: notes
owner: supply-chain
from: { event: placement.told }
key: .order
retry: { first: 20ms, factor: 2, max: 300ms, attempts: 0, jitter: full }
to: [{ call: books.note }]
";

const RECEIPT: &str = ".order = hl7(\"PV1-19.1\")\n.by = hl7(\"PV1-3.1\")\n";

/// Writes the estate: its calls go to `systems`, calls of its Apis come to `api`, receipts to
/// `dock`, answers of people to `desk`.
pub(crate) fn write(systems: &str, api: &str, dock: &str, desk: &str) -> House {
    let house = House::new(&[
        ("flows/flows.yaml", FLOWS),
        ("processes/supply.yaml", PROCESS),
        ("apis/apis.yaml", APIS),
        ("maps/receipt.vrl", RECEIPT),
        (
            "policies/base.cedar",
            "@id(\"calls-by-scope\")\npermit (principal, action == Action::\"call\", resource)\nwhen { context.has_scope };\n",
        ),
    ]);
    let own = format!(
        "estate: crash\nfacilities: [north, south]\nkeys: {{ provider: file, path: ./keys }}\npeople: {{ roles: [buyer] }}\nlisteners:\n  \
         console: {{ zone: admin, bind: \"{desk}\" }}\n  internal: {{ zone: internal, bind: \"{api}\" }}\n"
    );
    house.write("wardline.yaml", own.as_bytes());
    for (system, operations) in SYSTEMS {
        let mut text = format!(
            "system: {system}\nowner: it\nconnections:\n  api:\n    http: {{ url: \"http://{systems}/{system}\", timeout: 10s }}\n    \
             breaker: {{ open_after: 0 }}\noperations:\n"
        );
        for operation in *operations {
            text.push_str(&format!(
                "  {operation}: {{ http: {{ connection: api, post: \"/{operation}\" }}, accepts: placement }}\n"
            ));
        }
        house.write(&format!("systems/{system}.yaml"), text.as_bytes());
    }
    let dock = format!(
        "system: dock\nowner: it\nconnections:\n  adt:\n    mllp: {{ listen: \"{dock}\" }}\n    duplicate: {{ by: [MSH-10], within: 7d }}\n"
    );
    house.write("systems/dock.yaml", dock.as_bytes());
    let mut entities = Vec::new();
    for (entity, schema) in [
        (
            "order",
            r#"{ "type": "object", "required": ["number", "lines", "acknowledge_by"] }"#,
        ),
        (
            "acknowledgement",
            r#"{ "type": "object", "required": ["order", "promised"] }"#,
        ),
        ("receipt", r#"{ "type": "object", "required": ["order"] }"#),
        (
            "placement",
            r#"{ "type": "object", "required": ["order"] }"#,
        ),
    ] {
        entities.push(format!(
            "entity: {entity}\nversion: 1.0.0\nowner: it\nschema: {entity}.schema.json\n"
        ));
        house.write(&format!("entities/{entity}.schema.json"), schema.as_bytes());
    }
    house.write("entities/all.yaml", entities.join("---\n").as_bytes());
    let hash = digest::digest(&digest::SHA256, API_KEY.as_bytes());
    let hex: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let client = format!(
        "client: buyer\nowner: it\nkind: service\nzone: internal\n\
         auth: {{ api_key: {{ sha256: \"{hex}\", expires: 2099-01-01 }} }}\nscopes: [order.write]\n"
    );
    house.write("clients/buyer.yaml", client.as_bytes());
    house
}
