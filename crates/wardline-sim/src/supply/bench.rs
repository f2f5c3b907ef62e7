//! Maintenance (a CMMS): devices, work orders, and what was built into which device.

use super::{legal_entity, money};
use crate::amount::Amount;
use crate::office::{Ask, Books, Duty, Office, Reply, Room, Verb};
use serde_json::{Value, json};

const SYSTEM: &str = "cmms";

/// The device that fails in rehearsals.
pub(super) const PUMP: &str = "AST-1001";

/// The part of a building that fails in rehearsals.
pub(super) const AIR_HANDLER: &str = "AST-2001";

/// Maintenance management.
pub(crate) const CMMS: Office = Office {
    system: SYSTEM,
    place: 22,
    duties: &[
        Duty {
            name: "get-asset",
            verb: Verb::Get,
            path: "/assets/{asset_tag}",
            subject: "asset_tag",
            needs: &[],
            run: |room, ask| {
                let found = room.find("assets", ask.param("asset_tag")).cloned();
                found.map_or(Reply::UNKNOWN, Reply::Read)
            },
        },
        Duty {
            name: "update-work-order",
            verb: Verb::Put,
            path: "/work-orders/{work_order_number}",
            subject: "work_order_number",
            needs: &["/status"],
            run: |room, ask| {
                let number = ask.param("work_order_number");
                room.keep("work-orders", number, ask.body.clone());
                Reply::Done(json!({ "work_order_number": number, "status": ask.text("/status") }))
            },
        },
        Duty {
            name: "add-asset-history",
            verb: Verb::Post,
            path: "/assets/{asset_tag}/history",
            subject: "/work_order_number",
            needs: &["/work_order_number"],
            run: add_history,
        },
    ],
    refuse: crate::service::problem,
    furnish: |books: &mut Books| {
        let assets = [
            (
                PUMP,
                "north",
                "medical-device",
                "Infusion pump",
                "ICU",
                "CC-4200",
                true,
            ),
            (
                "AST-1002",
                "south",
                "medical-device",
                "Patient monitor",
                "ICU",
                "CC-4200",
                true,
            ),
            (
                AIR_HANDLER,
                "north",
                "facility",
                "Air handler 3",
                "BIOMED",
                "CC-7300",
                false,
            ),
        ];
        for (tag, facility, kind, description, department, center, critical) in assets {
            let asset: Value = json!({
                "asset_tag": tag, "legal_entity": legal_entity(facility), "facility": facility, "kind": kind, "description": description,
                "manufacturer": "Baxley", "model": "M-2", "serial": format!("SN-{tag}"), "department": department, "cost_center": center,
                "status": "in-service", "critical": critical, "fixed_asset": format!("FA-{tag}"), "acquisition_cost": money(Amount::whole(4_200)),
            });
            books.keep(SYSTEM, "assets", tag, asset);
        }
    },
};

fn add_history(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let tag = ask.param("asset_tag");
    if room.find("assets", tag).is_none() {
        return Reply::UNKNOWN;
    }
    let id = format!("{tag}/{}", room.books.count(SYSTEM, "history") + 1);
    room.keep("history", &id, ask.body.clone());
    Reply::Done(
        json!({ "status": "recorded", "work_order_number": ask.text("/work_order_number") }),
    )
}
