//! `wardline send` and `wardline listen`: MLLP by hand.

use crate::cli::{Listen, Send, TlsArgs};
use crate::{exit, paint, table};
use anyhow::Context as _;
use bytes::Bytes;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wardline_connect::{mllp, tls};
use wardline_hl7::{Batch, Message};

/// How long to wait for each acknowledgement.
const PATIENCE: Duration = Duration::from_secs(30);

fn client_tls(args: &TlsArgs) -> Option<tls::ClientTls> {
    args.tls.then(|| tls::ClientTls {
        ca: args.ca.clone().map(tls::Pem::File),
        identity: identity(args),
        server_name: None,
    })
}

fn identity(args: &TlsArgs) -> Option<tls::Identity> {
    match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => Some(tls::Identity {
            cert: tls::Pem::File(cert.clone()),
            key: tls::Pem::File(key.clone()),
        }),
        _ => None,
    }
}

pub(crate) async fn send(args: Send) -> anyhow::Result<ExitCode> {
    let bytes = super::hl7::read(&args.file)?;
    let batch =
        Batch::parse(bytes).with_context(|| format!("{} is not HL7 v2", args.file.display()))?;
    let tls = client_tls(&args.tls);
    let mut refused = false;
    for _ in 0..args.count {
        for entry in batch.messages() {
            let began = Instant::now();
            let answer =
                mllp::send_once(&args.mllp, tls.as_ref(), unframed(&entry.bytes), PATIENCE).await?;
            let took =
                table::micros(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
            let sent = entry
                .parse()
                .ok()
                .and_then(|m| m.control_id().map(std::borrow::Cow::into_owned))
                .unwrap_or_default();
            let Ok(message) = Message::parse(answer) else {
                anyhow::bail!("{} answered, but not with HL7", args.mllp);
            };
            match wardline_hl7::ack::read(&message) {
                Ok(ack) => {
                    let good = ack.code.is_accept();
                    refused |= !good;
                    let code = if good {
                        paint::good(&format!("✓ {:?}", ack.code))
                    } else {
                        paint::bad(&format!("✕ {:?}", ack.code))
                    };
                    let text = ack
                        .text
                        .as_deref()
                        .map(|text| format!("  {text}"))
                        .unwrap_or_default();
                    anstream::println!("{code}  {sent}  {took}{text}");
                }
                Err(error) => {
                    refused = true;
                    anstream::println!("{}  {sent}  {took}  {error}", paint::bad("✕"));
                }
            }
        }
    }
    Ok(if refused {
        ExitCode::from(exit::FINDINGS)
    } else {
        ExitCode::SUCCESS
    })
}

/// The message without the frame that a capture of the wire still has around it; two frames
/// around one message are refused by most receivers.
fn unframed(bytes: &Bytes) -> Bytes {
    let begin = bytes
        .iter()
        .position(|byte| !matches!(byte, 0x0b | b'\r' | b'\n'))
        .unwrap_or(bytes.len());
    let framed_end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
        .filter(|at| bytes[*at] == 0x1c);
    let end = framed_end.unwrap_or(bytes.len()).max(begin);
    bytes.slice(begin..end)
}

pub(crate) async fn listen(args: Listen) -> anyhow::Result<ExitCode> {
    let bind = if args.mllp.contains(':') {
        args.mllp.clone()
    } else {
        format!("127.0.0.1:{}", args.mllp)
    };
    let mut config = mllp::InboundConfig::new("listen", bind);
    config.tls = match (args.tls.tls, identity(&args.tls)) {
        (false, _) => None,
        (true, Some(identity)) => Some(tls::ServerTls {
            identity,
            client_ca: args.tls.ca.clone().map(tls::Pem::File),
            crl: None,
        }),
        (true, None) => anyhow::bail!("listening with --tls needs --cert and --key"),
    };
    let (receiver, mut messages) = mllp::Receiver::bind(config, 64).await?;
    anstream::eprintln!("listening on {}; Ctrl-C stops", receiver.local_addr());
    let stop = CancellationToken::new();
    let running = tokio::spawn(receiver.run(stop.clone()));
    let mut count = 0u64;
    loop {
        tokio::select! {
            received = messages.recv() => {
                let Some(received) = received else { break };
                count += 1;
                match Message::parse(received.body.clone()) {
                    Ok(message) => print!("{}", wardline_hl7::show::to_text(&message)),
                    Err(error) => println!("{} bytes that are not HL7: {error}", received.body.len()),
                }
                println!();
                if args.count.is_some_and(|most| count >= most) {
                    break;
                }
            }
            stopped = super::serve::wait_for_stop() => {
                stopped?;
                break;
            }
        }
    }
    stop.cancel();
    running.await.context("the receiver ended abnormally")?;
    Ok(ExitCode::SUCCESS)
}
