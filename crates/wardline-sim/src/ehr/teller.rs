//! Tells a tale over MLLP: one message after the other, each once it was acknowledged. Where a device has to do with it, it comes after.

use super::tale::{Feed, Tale};
use crate::departments::Feeds;
use crate::office::{Courier, Post, SentState};
use crate::post::{FIRST_PAUSE, LONGEST_PAUSE};
use bytes::BytesMut;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wardline_hl7::{Message, Path, mllp};

/// An acknowledgement is awaited so long before the message is sent again.
const ACK_TIME: Duration = Duration::from_secs(30);
const ACK_LIMIT: usize = 64 * 1024;

/// Tells tales to Wardline's listeners. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Teller {
    /// Where admissions are told, `host:port`, where there is one.
    pub(crate) target: Option<String>,
    /// And everything else.
    pub(crate) feeds: Feeds,
    pub(crate) courier: Courier,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Teller {
    /// Begins to tell.
    pub(crate) fn tell(&self, tale: Tale) {
        let note = |from, path, key: &str, after| {
            self.courier.note(&Post {
                from,
                path,
                key: key.to_owned(),
                about: tale.about.clone(),
                after,
                body: Value::Null,
            })
        };
        let numbers: Vec<u64> = tale
            .messages
            .iter()
            .map(|message| note(tale.feed.sender(), "mllp", &message.control, message.after))
            .collect();
        let scan = tale.scan.clone().map(|scan| {
            let number = note("imaging", "dicom", &scan.accession, Duration::ZERO);
            (scan, number)
        });
        let target = match tale.feed {
            Feed::Admissions => &self.target,
            Feed::Orders => &self.feeds.orders,
            Feed::Documents => &self.feeds.documents,
            Feed::Results => &self.feeds.results,
        };
        let device = self.feeds.modalities.clone();
        let (Some(target), true) = (target.clone(), scan.is_none() || device.is_some()) else {
            for number in numbers.into_iter().chain(scan.map(|(_, number)| number)) {
                self.courier.settle(number, SentState::Untold);
            }
            return;
        };
        let courier = self.courier.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let round = async {
                for (message, number) in tale.messages.into_iter().zip(numbers) {
                    sleep(courier.pace(message.after)).await;
                    let mut state = SentState::Accepted;
                    for _ in 0..courier.times() {
                        state = until_answered(&target, &message.text, &message.control).await;
                        if state != SentState::Accepted {
                            break;
                        }
                    }
                    courier.settle(number, state);
                }
                if let (Some((scan, number)), Some(device)) = (scan, device) {
                    let mut pause = FIRST_PAUSE;
                    while !scan.attempt(&device).await {
                        sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                    courier.settle(number, SentState::Accepted);
                }
            };
            stop.run_until_cancelled(round).await;
        });
    }
}

/// Sends the message until it is taken or refused for good.
async fn until_answered(target: &str, text: &[u8], control: &str) -> SentState {
    let mut pause = FIRST_PAUSE;
    loop {
        match timeout(ACK_TIME, once(target, text, control)).await {
            Ok(Ok(Some(taken))) => {
                return if taken {
                    SentState::Accepted
                } else {
                    SentState::Refused
                };
            }
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!(%error, target, "a message could not be told"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One attempt on a connection of its own. `None` where a later one may help.
async fn once(target: &str, text: &[u8], control: &str) -> std::io::Result<Option<bool>> {
    const CODE: Path = Path::new("MSA-1");
    const CONTROL_ID: Path = Path::new("MSA-2");
    let mut stream = TcpStream::connect(target).await?;
    stream.write_all(&mllp::frame(text)).await?;
    let mut decoder = mllp::Decoder::new(ACK_LIMIT);
    let mut input = BytesMut::with_capacity(1_024);
    while stream.read_buf(&mut input).await? > 0 {
        while let Some(event) = decoder.decode(&mut input) {
            let mllp::Event::Frame(bytes) = event else {
                return Ok(None);
            };
            let Ok(answer) = Message::parse(bytes) else {
                return Ok(None);
            };
            if answer.value(&CONTROL_ID).as_deref() != Some(control) {
                continue;
            }
            return Ok(match answer.value(&CODE).as_deref() {
                Some("AA" | "CA") => Some(true),
                Some("AR" | "CR") => Some(false),
                _ => None,
            });
        }
    }
    Ok(None)
}
