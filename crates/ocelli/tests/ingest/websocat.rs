//! websocat as a device: one message of what it reads, one line of what it is told.

use super::support::PATIENCE;
use super::support::device::{Key, picture};
use super::{shows, site};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Where `make test` puts it, unless the machine has one.
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/websocat/bin");

struct Websocat {
    program: Child,
    input: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
}

impl Websocat {
    /// It connects; the hub has said that it is ready.
    async fn ready(hub: SocketAddr, path: &str, arguments: &[String]) -> Self {
        let mut places = std::env::var_os("PATH").unwrap_or_default();
        places.push(":");
        places.push(Path::new(OURS));
        let mut program = Command::new("websocat")
            .env("PATH", places)
            .args(["--binary", "--exit-on-eof"])
            .args(arguments)
            .arg(format!("ws://{hub}{path}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("websocat; `make test` installs it");
        let input = program.stdin.take().unwrap();
        let told = BufReader::new(program.stdout.take().unwrap()).lines();
        let mut websocat = Self {
            program,
            input,
            told,
        };
        let ready = websocat.line().await.expect("a line");
        assert!(ready.contains("\"type\":\"ready\""), "{ready}");
        websocat
    }

    async fn line(&mut self) -> Option<String> {
        let line = timeout(PATIENCE, self.told.next_line()).await;
        line.expect("a line or an end in time").unwrap()
    }

    /// Waits for its end; what it was told last.
    async fn ended(mut self) -> String {
        let mut last = String::new();
        while let Some(line) = self.line().await {
            last = line;
        }
        let ended = timeout(PATIENCE, self.program.wait()).await;
        ended.expect("an end").unwrap();
        last
    }
}

#[tokio::test]
async fn websocat_pushes_is_replaced_and_is_sent_away() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::mint(hub, "live", "cam1").await;
    let bearer = format!("--header=Authorization: Bearer {}", key.secret);
    let mut first = Websocat::ready(hub, &key.path, &[bearer]).await;
    first.input.write_all(&picture(1)).await.unwrap();
    shows(hub, "cam1", &picture(1)).await;

    let by_address = format!("{}&key={}", key.path, key.secret);
    let mut second = Websocat::ready(hub, &by_address, &[]).await;
    assert!(first.ended().await.contains("\"replaced\""));
    second.input.write_all(&picture(2)).await.unwrap();
    shows(hub, "cam1", &picture(2)).await;
    key.revoke(hub, "live").await;
    assert!(second.ended().await.contains("\"invalid_key\""));
}
