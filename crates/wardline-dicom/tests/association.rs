//! Both sides with each other, and peers that do not behave.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use wardline_dicom::net::{
    Client, Incoming, NetError, Performed, Proposal, Rejection, Service, Sink, Status, Terms, serve,
};
use wardline_dicom::{DataSet, Head, from_json, to_json, uid, worklist};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// Keeps what came whole.
#[derive(Default)]
struct Kept {
    objects: Mutex<Vec<(Head, Vec<u8>)>>,
    steps: Mutex<Vec<(bool, String)>>,
    dropped: Mutex<usize>,
    entries: Vec<DataSet>,
}

struct Keeping {
    kept: Arc<Kept>,
    head: Option<Head>,
    bytes: Vec<u8>,
}

#[derive(Clone)]
struct Tester(Arc<Kept>);

#[async_trait]
impl Service for Tester {
    fn admit(&self, called: &str, calling: &str) -> Result<(), Rejection> {
        match (called, calling) {
            ("WARDLINE", "MODALITY") => Ok(()),
            ("WARDLINE", _) => Err(Rejection::CallingUnknown),
            _ => Err(Rejection::CalledUnknown),
        }
    }

    fn offers(&self, class: &str) -> bool {
        [CT, uid::WORKLIST_FIND, uid::PERFORMED_STEP].contains(&class)
    }

    async fn store(&self, incoming: Incoming<'_>) -> Result<Box<dyn Sink>, Status> {
        Ok(Box::new(Keeping {
            kept: Arc::clone(&self.0),
            head: Some(incoming.head),
            bytes: Vec::new(),
        }))
    }

    async fn find(&self, _: &str, query: &DataSet) -> Result<Vec<DataSet>, Status> {
        let all = self.0.entries.iter();
        Ok(all
            .filter_map(|entry| worklist::answer(query, entry))
            .collect())
    }

    async fn performed(&self, step: Performed<'_>) -> Status {
        let mut steps = self.0.steps.lock().unwrap();
        steps.push((step.begins, step.instance.to_owned()));
        Status::success()
    }
}

#[async_trait]
impl Sink for Keeping {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Status> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Status {
        let head = self.head.take().unwrap();
        let bytes = std::mem::take(&mut self.bytes);
        self.kept.objects.lock().unwrap().push((head, bytes));
        Status::success()
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if self.head.is_some() {
            *self.kept.dropped.lock().unwrap() += 1;
        }
    }
}

fn terms() -> Terms {
    Terms {
        max_pdu: 16 << 10,
        max_object: 1 << 20,
        max_data_set: 64 << 10,
        idle: Duration::from_millis(400),
        stall: Duration::from_millis(200),
    }
}

fn begin(kept: &Arc<Kept>) -> (DuplexStream, tokio::task::JoinHandle<Result<(), NetError>>) {
    let (ours, theirs) = duplex(4096);
    let service = Tester(Arc::clone(kept));
    let served =
        tokio::spawn(async move { serve(theirs, terms(), &service, std::future::pending()).await });
    (ours, served)
}

fn proposal<'a>(called: &'a str, calling: &'a str) -> Proposal<'a> {
    let plain = vec![uid::EXPLICIT_LITTLE, uid::IMPLICIT_LITTLE];
    Proposal {
        called,
        calling,
        classes: vec![
            (uid::VERIFICATION, plain.clone()),
            (CT, plain.clone()),
            (uid::WORKLIST_FIND, plain.clone()),
            (uid::PERFORMED_STEP, plain),
        ],
    }
}

fn head(instance: &str) -> Head {
    Head {
        class: CT.into(),
        instance: instance.into(),
        transfer_syntax: uid::EXPLICIT_LITTLE.into(),
    }
}

fn chunks(sizes: &[usize]) -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (send, receive) = mpsc::channel(sizes.len().max(1));
    for size in sizes {
        send.try_send(Ok(vec![7; *size].into())).unwrap();
    }
    receive
}

#[tokio::test]
async fn everything_goes_over_one_association() {
    let entry = json!({ "PatientName": "A^B", "PatientID": "1", "ScheduledProcedureStepSequence": [{ "Modality": "CT" }] });
    let kept = Arc::new(Kept {
        entries: vec![from_json(entry.as_object().unwrap()).unwrap()],
        ..Kept::default()
    });
    let (stream, served) = begin(&kept);
    let mut client = Client::open(stream, &proposal("WARDLINE", "MODALITY"), terms())
        .await
        .unwrap();
    assert!(client.echo().await.unwrap().is_good());
    let status = client
        .store(&head("1.2.3"), chunks(&[100_000, 2, 50_000]))
        .await
        .unwrap();
    assert!(status.is_good());
    // Over the limit: refused at its end, and the association goes on.
    let status = client
        .store(&head("1.2.4"), chunks(&[600_000, 600_000]))
        .await
        .unwrap();
    assert_eq!(status.code, 0xa700);
    let status = client
        .store(&head("../../etc"), chunks(&[10]))
        .await
        .unwrap();
    assert_eq!(status.code, 0xc000);
    let query =
        json!({ "PatientName": null, "ScheduledProcedureStepSequence": [{ "Modality": "CT" }] });
    let query = from_json(query.as_object().unwrap()).unwrap();
    let (found, status) = client.find(&query, 10).await.unwrap();
    assert!(status.is_good());
    assert_eq!(found.len(), 1);
    assert_eq!(to_json(&found[0])["PatientName"], "A^B");
    let step = from_json(
        json!({ "PerformedProcedureStepStatus": "IN PROGRESS" })
            .as_object()
            .unwrap(),
    )
    .unwrap();
    assert!(client.perform(true, "1.9", &step).await.unwrap().is_good());
    client.release().await.unwrap();
    served.await.unwrap().unwrap();
    let objects = kept.objects.lock().unwrap();
    assert_eq!(objects.len(), 1);
    assert_eq!(
        (objects[0].0.instance.as_str(), objects[0].1.len()),
        ("1.2.3", 150_002)
    );
    assert_eq!(*kept.dropped.lock().unwrap(), 1);
    assert_eq!(*kept.steps.lock().unwrap(), [(true, "1.9".to_owned())]);
}

#[tokio::test]
async fn strangers_are_refused() {
    for (called, calling, expected) in [
        ("OTHER", "MODALITY", "called"),
        ("WARDLINE", "STRANGER", "calling"),
    ] {
        let kept = Arc::default();
        let (stream, served) = begin(&kept);
        let opened = Client::open(stream, &proposal(called, calling), terms()).await;
        let Err(NetError::Rejected(reason)) = opened else {
            panic!("{called} {calling} came in");
        };
        assert!(reason.contains(expected), "{reason}");
        assert!(matches!(served.await.unwrap(), Err(NetError::Refused(_))));
    }
}

/// The request of a client, as bytes, and the stream on which it was answered.
async fn associated(
    kept: &Arc<Kept>,
) -> (DuplexStream, tokio::task::JoinHandle<Result<(), NetError>>) {
    let (mut ours, served) = begin(kept);
    // The bytes of a request, taken from our own client.
    let (near, mut far) = duplex(16 << 10);
    let asking = tokio::spawn(async move {
        let _ = Client::open(near, &proposal("WARDLINE", "MODALITY"), terms()).await;
    });
    let mut head = [0; 6];
    far.read_exact(&mut head).await.unwrap();
    let mut body = vec![0; u32::from_be_bytes(head[2..].try_into().unwrap()) as usize];
    far.read_exact(&mut body).await.unwrap();
    drop(far);
    asking.await.unwrap();
    ours.write_all(&head).await.unwrap();
    ours.write_all(&body).await.unwrap();
    ours.read_exact(&mut head).await.unwrap();
    assert_eq!(head[0], 2, "accepted");
    let mut body = vec![0; u32::from_be_bytes(head[2..].try_into().unwrap()) as usize];
    ours.read_exact(&mut body).await.unwrap();
    (ours, served)
}

#[tokio::test]
async fn who_stalls_is_sent_away_and_nothing_half_is_taken() {
    let kept = Arc::default();
    let (stream, served) = begin(&kept);
    let mut client = Client::open(stream, &proposal("WARDLINE", "MODALITY"), terms())
        .await
        .unwrap();
    let (send, receive) = mpsc::channel(2);
    send.send(Ok(Bytes::from(vec![0; 50_000]))).await.unwrap();
    send.send(Ok(Bytes::from(vec![0; 50_000]))).await.unwrap();
    // The rest never comes.
    let head = head("1.2.3");
    let sent = client.store(&head, receive);
    let (sent, served) = tokio::join!(tokio::time::timeout(Duration::from_secs(2), sent), async {
        let served = served.await.unwrap();
        drop(send);
        served
    });
    assert!(
        matches!(served, Err(NetError::Stalled(_) | NetError::Silent(_))),
        "{served:?}"
    );
    assert!(!matches!(sent, Ok(Ok(status)) if status.is_good()));
    assert!(kept.objects.lock().unwrap().is_empty());
    assert_eq!(*kept.dropped.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_pdu_that_trickles_is_a_stall() {
    let kept = Arc::default();
    let (mut stream, served) = associated(&kept).await;
    let trickle = async {
        let pdu = [4, 0, 0, 0, 0x10, 0];
        for byte in pdu.into_iter().chain(std::iter::repeat(0)) {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = trickle => {}
        served = served => {
            assert!(matches!(served.unwrap(), Err(NetError::Stalled(_))));
        }
    }
}

#[tokio::test]
async fn a_pdu_over_the_limit_is_not_waited_for() {
    let kept = Arc::default();
    let (mut stream, served) = associated(&kept).await;
    stream
        .write_all(&[4, 0, 0xff, 0xff, 0xff, 0xff])
        .await
        .unwrap();
    assert!(matches!(
        served.await.unwrap(),
        Err(NetError::TooLong { .. })
    ));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.first(), Some(&7), "an abort");
}

#[tokio::test]
async fn silence_ends_an_association() {
    let kept = Arc::default();
    let (_stream, served) = associated(&kept).await;
    assert!(matches!(served.await.unwrap(), Err(NetError::Silent(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic(first in any::<bool>(), kind in 0u8..9, body in prop::collection::vec(any::<u8>(), 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kept = Arc::default();
            let (mut stream, served) = if first { begin(&kept) } else { associated(&kept).await };
            let mut bytes = vec![kind, 0];
            bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&body);
            // It may have gone before it has read all of it.
            let _ = stream.write_all(&bytes).await;
            drop(stream);
            assert!(served.await.is_ok(), "no panic");
            assert!(kept.objects.lock().unwrap().is_empty());
        });
    }
}
