//! `ocelli simulate`: a fleet of devices that push, over real sockets, against this hub or
//! any other. It creates its keys with the HTTP interface and deletes them at the end, or
//! runs one device with an existing key.
//!
//! | module | contents |
//! |---|---|
//! | [`keys`] | the calls of the HTTP interface |
//! | [`device`] | one device, well-behaved or not |
//! | [`pictures`] | the pictures that devices send |
//! | [`tally`] | the counts |
//!
//! It shares no code with the hub's ingest, so that shared code cannot hide the same mistake in
//! both.

mod device;
mod keys;
mod pictures;
mod tally;

use clap::Args;
use device::Device;
use keys::Calls;
use pictures::Size;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The variable with the token: other users of the machine can read a command line.
const TOKEN: &str = "OCELLI_TOKEN";
/// The variable with the key of a single device, for the same reason.
const KEY: &str = "OCELLI_KEY";
/// Time limit for closing the devices' connections.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds between lines of progress if the output is not a terminal.
const LOG_EVERY: u64 = 10;

/// The arguments of `ocelli simulate`.
#[derive(Args)]
pub struct Simulate {
    /// The number of devices.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    cameras: u32,
    /// Frames per second of each device.
    #[arg(long, default_value_t = 8.0, value_parser = frames_per_second)]
    fps: f64,
    /// The size of the pictures.
    #[arg(long, value_enum, default_value_t = Size::Qvga)]
    size: Size,
    /// The app to push to.
    #[arg(long, default_value = ocelli_core::name::DEFAULT_APP)]
    app: String,
    /// Run one device only, which pushes to this room with the key in OCELLI_KEY.
    #[arg(long, conflicts_with = "cameras")]
    room: Option<String>,
    /// The hub's URL.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The duration in seconds; until Ctrl+C by default.
    #[arg(long)]
    seconds: Option<u64>,
    /// Make devices drop connections, connect twice, flood, and send garbage.
    #[arg(long)]
    chaos: bool,
}

fn frames_per_second(text: &str) -> Result<f64, String> {
    let fps = text.parse().ok().filter(|fps| (0.01..=120.0).contains(fps));
    fps.ok_or_else(|| "it must be a number from 0.01 to 120".to_owned())
}

impl Simulate {
    /// Runs the fleet until its time is over or `stop` is ready. Returns true if every device was
    /// connected at the end. With `chaos`, when devices disconnect on purpose, returns true if
    /// the hub still answered at the end.
    ///
    /// # Errors
    /// The message states why the fleet could not start.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<bool, String> {
        if let Some(room) = &self.room {
            return self.run_one(room, stop).await;
        }
        let token = std::env::var(TOKEN).map_err(|_| {
            format!(
                "{TOKEN} is not set: set it to a token with the permissions \
                 ingress:create, ingress:read, ingress:delete, series:read and \
                 series:delete, like the one that `ocelli token create simulate \
                 --permission 'ingress:*' --permission 'series:*'` prints"
            )
        })?;
        let calls = Arc::new(Calls::new(&self.url, &self.app, token)?);
        tokio::pin!(stop);
        let mut made = Vec::new();
        let minted = tokio::select! {
            minted = calls.create(self.cameras, &mut made) => minted,
            () = &mut stop => Err("stopped before the start".to_owned()),
        };
        let done = match minted {
            Ok(()) => Ok(self.run_devices(Some(&calls), &made, stop).await),
            Err(fault) => Err(fault),
        };
        let left = calls.revoke(made).await;
        if left > 0 {
            print(&format!(
                "{left} keys could not be deleted; their rooms begin with sim-\n"
            ));
        }
        if let Err(fault) = calls.delete_series().await {
            print(&format!(
                "the fleet's series were not deleted: {fault}. Give the token the permissions \
                 series:read and series:delete, or delete the series in Settings\n"
            ));
        }
        done
    }

    /// Runs one device with an existing key.
    async fn run_one(&self, room: &str, stop: impl Future<Output = ()>) -> Result<bool, String> {
        let secret = std::env::var(KEY)
            .map_err(|_| format!("{KEY} is not set: set it to the key of room {room:?}"))?;
        let key = keys::Key::from_secret(&self.url, &self.app, room, secret)?;
        Ok(self.run_devices(None, &[key], stop).await)
    }

    /// Runs the devices.
    async fn run_devices(
        &self,
        calls: Option<&Calls>,
        keys: &[keys::Key],
        stop: impl Future<Output = ()>,
    ) -> bool {
        let pictures = Arc::new(pictures::draw(self.size));
        let tally = Arc::new(Tally::default());
        let stopping = CancellationToken::new();
        let mut devices = JoinSet::new();
        for (number, key) in keys.iter().enumerate() {
            let device = Device::new(
                number as u64,
                key.clone(),
                self.fps,
                self.chaos,
                pictures.clone(),
                tally.clone(),
            );
            devices.spawn(device.run(stopping.clone()));
        }
        self.report_progress(&tally, keys.len() as u32, stop).await;
        let connected = tally.connected();
        let hub = match calls {
            Some(calls) => calls.counts().await,
            None => None,
        };
        stopping.cancel();
        let ended = async { while devices.join_next().await.is_some() {} };
        // Devices that hang are dropped with the set.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended).await;
        let count = keys.len() as u32;
        print(&tally.report(count, connected, hub));
        match (self.chaos, calls) {
            (false, _) => connected == u64::from(count),
            (true, Some(_)) => hub.is_some(),
            // Without a token, the hub can be reached only as a device.
            (true, None) => tally.handshakes() > 0,
        }
    }

    /// Prints the progress until the end.
    async fn report_progress(&self, tally: &Tally, count: u32, stop: impl Future<Output = ()>) {
        let over = async {
            match self.seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(stop, over);
        let terminal = io::stderr().is_terminal();
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut last, mut round) = ((Instant::now(), 0), 0);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = &mut over => break,
                now = ticks.tick() => {
                    let sent = tally.sent();
                    let passed = (now - last.0).as_secs_f64().max(0.001);
                    let rate = (sent - last.1) as f64 / passed;
                    last = (now, sent);
                    let line = tally.line(count, rate);
                    if terminal {
                        print(&format!("\r\x1b[K{line}"));
                    } else if round % LOG_EVERY == 0 {
                        print(&format!("{line}\n"));
                    }
                    round += 1;
                }
            }
        }
        if terminal {
            print("\r\x1b[K");
        }
    }
}

/// Prints `text`. Errors are ignored, so that the fleet continues without a reader.
fn print(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
