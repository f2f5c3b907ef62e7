//! The console on a made-up hospital, to look at while its pages are worked on:
//! `cargo run -p wardline-console --example gallery`, then open the link that it prints.

#[path = "../tests/fake/mod.rs"]
mod fake;

use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use wardline_console::{AdminToken, Auth, serve};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8420".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    let folder = tempfile::tempdir()?;
    let token = AdminToken::load_or_create(&folder.path().join("admin.token"))?;
    println!("{}", token.login_link(address));
    let stop = CancellationToken::new();
    let end = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            end.cancel();
        }
    });
    serve(
        listener,
        Arc::new(fake::Hospital::new()),
        Auth::new(&token, address)?,
        stop,
    )
    .await?;
    Ok(())
}
