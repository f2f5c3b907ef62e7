//! The console on a made-up hospital, to look at while its pages are worked on:
//! `cargo run -p wardline-console --example gallery`, then open the link that it prints.

#[path = "../tests/fake/mod.rs"]
mod fake;

use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wardline_connect::door::{Admission, Door};
use wardline_console::{AdminToken, Auth, Console, serve};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8420".to_owned());
    let door = Door::bind(Admission {
        name: "console".into(),
        bind: format!("127.0.0.1:{port}"),
        tls: None,
        allow: Vec::new(),
        max_connections: 64,
        drain: Duration::from_secs(5),
        threads: None,
    })
    .await?;
    let address = door.address();
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
    let auth = Auth::new(&token, address)?;
    let console = Console::new(Arc::new(fake::Hospital::new()), auth);
    serve(vec![door], console, stop).await;
    Ok(())
}
