//! websocat as a device: it sends each input as one message, and prints each message it
//! receives.

use super::{shows, site};
use crate::support::TIMEOUT;
use crate::support::device::{Key, picture};
use std::net::SocketAddr;
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Where `make test-full` installs it, unless the machine has one.
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/websocat/bin");

struct Websocat {
    program: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Websocat {
    /// Connects and waits for the hub's `ready`.
    async fn ready(hub: SocketAddr, path: &str, arguments: &[String]) -> Self {
        let mut places = std::env::var_os("PATH").unwrap_or_default();
        places.push(":");
        places.push(OURS);
        let mut program = Command::new("websocat")
            .env("PATH", places)
            .args(["--binary", "--exit-on-eof"])
            .args(arguments)
            .arg(format!("ws://{hub}{path}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("websocat; `make test-full` installs it");
        let input = program.stdin.take().unwrap();
        let mut output = program.stdout.take().unwrap();
        let mut received = Vec::new();
        // Messages are printed unchanged, without line ends.
        while !received.ends_with(b"}") {
            let more = timeout(TIMEOUT, output.read_buf(&mut received)).await;
            assert_ne!(more.expect("a message in time").unwrap(), 0, "{received:?}");
        }
        let received = String::from_utf8(received).unwrap();
        assert!(received.contains("\"type\":\"ready\""), "{received}");
        Self {
            program,
            input,
            output,
        }
    }

    /// Waits for its exit; returns what it received until then.
    async fn ended(mut self) -> String {
        let mut received = String::new();
        let ended = timeout(TIMEOUT, async {
            self.output.read_to_string(&mut received).await.unwrap();
            self.program.wait().await.unwrap();
        });
        ended.await.expect("websocat exits in time");
        received
    }
}

#[tokio::test]
#[ignore = "`make test-full` compiles websocat and runs this test"]
async fn websocat_pushes_is_replaced_and_is_disconnected() {
    let (site, _dir) = site().await;
    let hub = site.address;
    let key = Key::create(hub, "live", "cam1").await;
    let bearer = format!("--header=Authorization: Bearer {}", key.secret);
    let mut first = Websocat::ready(hub, &key.path, &[bearer]).await;
    let [one, other] = [1, 2].map(picture);
    first.input.write_all(&one).await.unwrap();
    shows(hub, "cam1", &one).await;

    let by_address = format!("{}&key={}", key.path, key.secret);
    let mut second = Websocat::ready(hub, &by_address, &[]).await;
    assert!(first.ended().await.contains("\"replaced\""));
    second.input.write_all(&other).await.unwrap();
    shows(hub, "cam1", &other).await;
    key.revoke(hub, "live").await;
    assert!(second.ended().await.contains("\"invalid_key\""));
}
