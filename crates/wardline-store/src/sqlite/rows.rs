//! From columns to what callers see, in one place for every query.

use super::mail::Call;
use crate::change::{Note, Route, RouteOutcome};
use crate::process::{
    History, HistoryRow, InstanceRow, Mail, MailId, MailTo, Phase, TaskRow, TimerRow, WaitRow,
};
use crate::query::{Attempt, DeliveryRow, LaneRow, MessageOutcome, MessageRow, Ready};
use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::Type;
use wardline_core::{
    BlindIndex, DeliveryId, DeliveryState, Id, InstanceId, Lane, MessageId, OrderingKey, Sealed,
    Sym, TaskId, Timestamp,
};

/// Columns of [`message`], of `message AS m`.
pub(super) const MESSAGE_COLUMNS: &str = "m.id, m.block, m.source, m.kind, m.content_type, m.cause, m.key_index, \
     m.key_text, m.lane, m.received, m.size, m.outcome, m.flagged, m.routes, \
     EXISTS (SELECT 1 FROM content WHERE id = m.id)";

/// Columns of [`delivery`], of `delivery AS d`.
pub(super) const DELIVERY_COLUMNS: &str = "d.id, d.message, d.flow, d.destination, d.lane, d.key_index, d.key_text, \
     d.state, d.attempts, d.next, d.first_attempt, d.settled, d.took_us, d.status, d.note_code, d.note_text, \
     d.fingerprint, d.size, d.content_type, d.own_body, \
     EXISTS (SELECT 1 FROM response WHERE id = d.id), d.replay_of";

/// Columns of [`ready`], of `delivery AS d` and its `content AS c`.
pub(super) const READY_COLUMNS: &str = "d.id, d.message, d.flow, d.destination, d.lane, d.key_index, d.key_text, \
     d.state, d.attempts, d.next, d.first_attempt, d.content_type, c.sealed";

/// Columns of [`lane`], of `delivery AS d`.
pub(super) const LANE_COLUMNS: &str = "d.id, d.destination, d.lane, d.key_index, d.key_text, d.state, d.attempts, \
     d.next, d.since, d.note_code, d.note_text, d.fingerprint";

/// Columns of [`attempt`].
pub(super) const ATTEMPT_COLUMNS: &str =
    "delivery, number, started, took_us, status, note_code, note_text, fingerprint";

/// The state of a stored number.
pub(super) fn state(raw: u8) -> rusqlite::Result<DeliveryState> {
    DeliveryState::from_u8(raw).ok_or_else(|| unknown("a delivery state"))
}

pub(super) fn unknown(what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        Type::Integer,
        format!("{what} of a newer version").into(),
    )
}

pub(super) fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<Id> {
    Ok(Id::from_i64(row.get(at)?))
}

pub(super) fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp))
}

pub(super) fn key(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<OrderingKey>> {
    let Some(index) = row.get::<_, Option<i64>>(at)? else {
        return Ok(None);
    };
    let shown = row.get_ref(at + 1)?.as_str_or_null()?.map(Into::into);
    Ok(Some(OrderingKey {
        index: BlindIndex(index),
        shown,
    }))
}

pub(super) fn note(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Note>> {
    let Some(code) = row.get::<_, Option<String>>(at)? else {
        return Ok(None);
    };
    Ok(Some(Note {
        code,
        text: row.get(at + 1)?,
        fingerprint: row.get(at + 2)?,
    }))
}

/// A row of [`MESSAGE_COLUMNS`].
pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    Ok(MessageRow {
        id: MessageId(id(row, 0)?),
        block: row.get(1)?,
        source: Sym(row.get(2)?),
        kind: Sym(row.get(3)?),
        content_type: Sym(row.get(4)?),
        cause: row.get::<_, Option<i64>>(5)?.map(Id::from_i64),
        key: key(row, 6)?,
        lane: Lane::from_u8(row.get(8)?),
        received: Timestamp(row.get(9)?),
        size: row.get(10)?,
        outcome: match row.get::<_, u8>(11)? {
            0 => MessageOutcome::Routed,
            1 => MessageOutcome::Filtered,
            2 => MessageOutcome::Unrouted,
            _ => return Err(unknown("an outcome")),
        },
        flagged: row.get(12)?,
        routes: decode_routes(row.get_ref(13)?.as_blob_or_null()?.unwrap_or_default())?,
        has_payload: row.get(14)?,
    })
}

/// A row of [`DELIVERY_COLUMNS`].
pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let attempts: u32 = row.get(8)?;
    let state = state(row.get(7)?)?;
    let settled: i64 = row.get(11)?;
    let took_us: Option<i64> = row.get(12)?;
    let first_attempt = time(row, 10)?.or_else(|| {
        let took = took_us.filter(|_| state == DeliveryState::Delivered)?;
        Some(Timestamp(settled - took))
    });
    Ok(DeliveryRow {
        id: DeliveryId(id(row, 0)?),
        message: MessageId(id(row, 1)?),
        flow: Sym(row.get(2)?),
        destination: Sym(row.get(3)?),
        lane: Lane::from_u8(row.get(4)?),
        key: key(row, 5)?,
        state,
        attempts,
        next: time(row, 9)?,
        first_attempt,
        settled: Some(Timestamp(settled)),
        took_us: took_us.and_then(|took| u64::try_from(took).ok()),
        status: row.get(13)?,
        note: note(row, 14)?,
        size: row.get(17)?,
        content_type: Sym(row.get(18)?),
        own_body: row.get(19)?,
        has_response: row.get(20)?,
        replay_of: row
            .get::<_, Option<i64>>(21)?
            .map(|raw| DeliveryId(Id::from_i64(raw))),
    })
}

/// A row of [`READY_COLUMNS`].
pub(super) fn ready(row: &Row<'_>) -> rusqlite::Result<Ready> {
    let id = id(row, 0)?;
    Ok(Ready {
        id: DeliveryId(id),
        message: MessageId(Id::from_i64(row.get(1)?)),
        flow: Sym(row.get(2)?),
        destination: Sym(row.get(3)?),
        lane: Lane::from_u8(row.get(4)?),
        key: key(row, 5)?,
        state: state(row.get(7)?)?,
        attempts: row.get(8)?,
        next: time(row, 9)?,
        accepted: Timestamp::from_unix_ms(id.unix_ms()),
        first_attempt: time(row, 10)?,
        content_type: Sym(row.get(11)?),
        body: sealed(row, 12)?.unwrap_or_default(),
    })
}

/// A row of [`LANE_COLUMNS`].
pub(super) fn lane(row: &Row<'_>) -> rusqlite::Result<LaneRow> {
    Ok(LaneRow {
        head: DeliveryId(id(row, 0)?),
        destination: Sym(row.get(1)?),
        lane: Lane::from_u8(row.get(2)?),
        key: key(row, 3)?,
        state: state(row.get(5)?)?,
        attempts: row.get(6)?,
        next: time(row, 7)?,
        since: time(row, 8)?.unwrap_or_default(),
        note: note(row, 9)?.ok_or_else(|| unknown("a stopped delivery without a note"))?,
    })
}

/// A row of [`ATTEMPT_COLUMNS`].
pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        delivery: DeliveryId(id(row, 0)?),
        number: row.get(1)?,
        started: Timestamp(row.get(2)?),
        took_us: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
        status: row.get(4)?,
        note: Note {
            code: row.get(5)?,
            text: row.get(6)?,
            fingerprint: row.get(7)?,
        },
    })
}

/// The call that a delivery carries out: instance and number.
pub(super) fn call(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Call>> {
    let instance: Option<i64> = row.get(at)?;
    let number: Option<u32> = row.get(at + 1)?;
    Ok(instance.zip(number).map(|(instance, number)| Call {
        instance: InstanceId(Id::from_i64(instance)),
        number,
    }))
}

/// The phase of a stored number.
pub(super) fn phase(raw: u8) -> rusqlite::Result<Phase> {
    Phase::from_u8(raw).ok_or_else(|| unknown("a phase"))
}

/// The status of a stored number, 0 for none.
pub(super) fn status(raw: u32) -> Option<Sym> {
    (raw != 0).then_some(Sym(raw))
}

fn name(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Sym>> {
    Ok(row.get::<_, Option<u32>>(at)?.map(Sym))
}

/// A row of [`INSTANCE_COLUMNS`](super::instances::INSTANCE_COLUMNS).
pub(super) fn instance(row: &Row<'_>) -> rusqlite::Result<InstanceRow> {
    Ok(InstanceRow {
        id: InstanceId(id(row, 0)?),
        revision: row.get::<_, i64>(1)?.unsigned_abs(),
        process: Sym(row.get(2)?),
        definition: Sym(row.get(3)?),
        key: key(row, 4)?.ok_or_else(|| unknown("an instance without a key"))?,
        phase: phase(row.get(6)?)?,
        status: status(row.get(7)?),
        step: name(row, 8)?,
        note: note(row, 9)?,
        owner: name(row, 12)?,
        facility: name(row, 13)?,
        due: time(row, 14)?,
        began: Timestamp(row.get(15)?),
        advanced: Timestamp(row.get(16)?),
        since: Timestamp(row.get(17)?),
        ended: time(row, 18)?,
        summary: sealed(row, 19)?,
    })
}

/// A row of instance and number.
pub(super) fn wait(row: &Row<'_>) -> rusqlite::Result<WaitRow> {
    Ok(WaitRow {
        instance: InstanceId(id(row, 0)?),
        number: row.get(1)?,
    })
}

/// A row of due, instance and number.
pub(super) fn timer(row: &Row<'_>) -> rusqlite::Result<TimerRow> {
    Ok(TimerRow {
        due: Timestamp(row.get(0)?),
        instance: InstanceId(id(row, 1)?),
        number: row.get(2)?,
    })
}

/// A row of [`TASK_COLUMNS`](super::tasks::TASK_COLUMNS).
pub(super) fn task(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    Ok(TaskRow {
        id: TaskId(id(row, 0)?),
        instance: InstanceId(id(row, 1)?),
        number: row.get(2)?,
        process: Sym(row.get(3)?),
        key: key(row, 4)?.ok_or_else(|| unknown("a task without a key"))?,
        step: Sym(row.get(6)?),
        role: Sym(row.get(7)?),
        facility: name(row, 8)?,
        claimed: row.get(9)?,
        asked: Timestamp(row.get(10)?),
        due: time(row, 11)?,
        ended: time(row, 12)?,
        by: row.get(13)?,
        choice: row.get(14)?,
        body: sealed(row, 15)?.unwrap_or_default(),
    })
}

/// A row of [`MAIL_COLUMNS`](super::mail::MAIL_COLUMNS).
pub(super) fn mail(row: &Row<'_>) -> rusqlite::Result<Mail> {
    let correlator = name(row, 2)?;
    let key: Option<i64> = row.get(3)?;
    let call = call(row, 4)?;
    let delivery: Option<i64> = row.get(6)?;
    let to = match (correlator.zip(key), call.zip(delivery)) {
        (Some((correlator, key)), _) => MailTo::Waiting {
            correlator,
            key: BlindIndex(key),
        },
        (None, Some((call, delivery))) => MailTo::Instance {
            instance: call.instance,
            call: call.number,
            delivery: DeliveryId(Id::from_i64(delivery)),
        },
        (None, None) => return Err(unknown("mail")),
    };
    Ok(Mail {
        id: MailId(row.get(0)?),
        to,
        message: MessageId(id(row, 1)?),
    })
}

/// A row of revision, time and lines: adds each line.
pub(super) fn history(row: &Row<'_>, found: &mut Vec<HistoryRow>) -> rusqlite::Result<()> {
    let revision = row.get::<_, i64>(0)?.unsigned_abs();
    let at = Timestamp(row.get(1)?);
    let lines: Vec<[String; 3]> = serde_json::from_str(row.get_ref(2)?.as_str()?)
        .map_err(|_| unknown("a line of history"))?;
    found.extend(lines.into_iter().map(|[step, what, text]| HistoryRow {
        at,
        revision,
        line: History { step, what, text },
    }));
    Ok(())
}

/// Sealed bytes, if there are any.
pub(super) fn sealed(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Sealed>> {
    let bytes = row.get_ref(at)?.as_blob_or_null()?;
    Ok(bytes.map(|bytes| Sealed::from_sealed_bytes(Bytes::copy_from_slice(bytes))))
}

/// Routes as the journal keeps them: flow, destination (0 for none) and outcome, each as a
/// variable-length number, three bytes a route in a usual estate.
pub(super) fn encode_routes(routes: &[Route]) -> Vec<u8> {
    let mut out = Vec::with_capacity(routes.len() * 4);
    for route in routes {
        for number in [
            route.flow.0,
            route.destination.map_or(0, |sym| sym.0),
            route.outcome as u32,
        ] {
            let mut rest = number;
            while rest >= 0x80 {
                out.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            out.push(rest as u8);
        }
    }
    out
}

/// The opposite of [`encode_routes`].
pub(super) fn decode_routes(bytes: &[u8]) -> rusqlite::Result<Vec<Route>> {
    let mut numbers = Vec::with_capacity(bytes.len());
    let (mut number, mut shift) = (0u32, 0);
    for byte in bytes {
        number |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            numbers.push(number);
            (number, shift) = (0, 0);
        }
    }
    let routes = numbers.chunks_exact(3).map(|route| {
        let outcome = match route[2] {
            0 => RouteOutcome::Taken,
            1 => RouteOutcome::Filtered,
            2 => RouteOutcome::Failed,
            _ => return Err(unknown("a route")),
        };
        let destination = (route[1] != 0).then_some(Sym(route[1]));
        Ok(Route {
            flow: Sym(route[0]),
            destination,
            outcome,
        })
    });
    routes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_come_back_as_they_were() {
        let routes = vec![
            Route {
                flow: Sym(1),
                destination: None,
                outcome: RouteOutcome::Taken,
            },
            Route {
                flow: Sym(127),
                destination: Some(Sym(128)),
                outcome: RouteOutcome::Filtered,
            },
            Route {
                flow: Sym(u32::MAX),
                destination: Some(Sym(65_536)),
                outcome: RouteOutcome::Failed,
            },
        ];
        assert_eq!(decode_routes(&encode_routes(&routes)).unwrap(), routes);
        assert!(encode_routes(&[]).is_empty());
    }
}
