//! `ocelli simulate`: a fleet of devices that push, over real sockets, against this or
//! any hub. It makes its keys by the HTTP interface and takes them away afterwards; or it
//! is one device, with a key that somebody has.
//!
//! | module | holds |
//! |---|---|
//! | [`keys`] | the calls |
//! | [`device`] | one device, well-behaved or not |
//! | [`pictures`] | what they send |
//! | [`tally`] | what became of it |
//!
//! What does not belong here: anything that the hub itself uses. A fleet must not work
//! merely because it shares the hub's mistakes.

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

/// Where the token stands: a command line is read by everybody on a machine.
const TOKEN: &str = "OCELLI_TOKEN";
/// Where the key of a single device stands, for the same reason.
const KEY: &str = "OCELLI_KEY";
/// How long devices may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a log, which is no terminal, is told.
const LOG_EVERY: u64 = 10;

/// A fleet of devices.
#[derive(Args)]
pub struct Simulate {
    /// How many devices.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    cameras: u32,
    /// Frames a second of each.
    #[arg(long, default_value_t = 8.0, value_parser = frames_per_second)]
    fps: f64,
    /// How large their pictures are.
    #[arg(long, value_enum, default_value_t = Size::Qvga)]
    size: Size,
    /// The app that they push to.
    #[arg(long, default_value = ocelli_core::name::DEFAULT_APP)]
    app: String,
    /// One device, which pushes to this room with the key in OCELLI_KEY.
    #[arg(long, conflicts_with = "cameras")]
    room: Option<String>,
    /// The hub.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// For how long, in seconds; until Ctrl+C by default.
    #[arg(long)]
    seconds: Option<u64>,
    /// Let them drop connections, connect twice, flood, and send rubbish.
    #[arg(long)]
    chaos: bool,
}

fn frames_per_second(text: &str) -> Result<f64, String> {
    let fps = text.parse().ok().filter(|fps| (0.01..=120.0).contains(fps));
    fps.ok_or_else(|| "it takes a number from 0.01 to 120".to_owned())
}

impl Simulate {
    /// Runs the fleet until its time is over or `stop` is ready; whether every device
    /// was connected in the end.
    ///
    /// # Errors
    /// Says why it could not begin.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<bool, String> {
        if let Some(room) = &self.room {
            return self.run_one(room, stop).await;
        }
        let token = std::env::var(TOKEN).map_err(|_| {
            format!(
                "{TOKEN} is not set: it has to hold a token with the permissions \
                 ingress:create, ingress:read and ingress:delete, like the one that \
                 `ocelli token create simulate --permission 'ingress:*'` prints"
            )
        })?;
        let calls = Arc::new(Calls::new(&self.url, &self.app, token)?);
        tokio::pin!(stop);
        let mut made = Vec::new();
        let minted = tokio::select! {
            minted = calls.mint(self.cameras, &mut made) => minted,
            () = &mut stop => Err("stopped before it began".to_owned()),
        };
        let done = match minted {
            Ok(()) => Ok(self.drive(Some(&calls), &made, stop).await),
            Err(fault) => Err(fault),
        };
        let left = calls.revoke(made).await;
        if left > 0 {
            say(&format!(
                "{left} keys could not be removed; they begin with sim-\n"
            ));
        }
        done
    }

    /// Runs one device with a key that there is already.
    async fn run_one(&self, room: &str, stop: impl Future<Output = ()>) -> Result<bool, String> {
        let secret = std::env::var(KEY)
            .map_err(|_| format!("{KEY} is not set: it has to hold the key of room {room:?}"))?;
        let key = keys::Key::existing(&self.url, &self.app, room, secret)?;
        Ok(self.drive(None, &[key], stop).await)
    }

    /// Lets the devices push.
    async fn drive(
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
        self.watch(&tally, keys.len() as u32, stop).await;
        let connected = tally.connected();
        let hub = match calls {
            Some(calls) => calls.counts().await,
            None => None,
        };
        stopping.cancel();
        let ended = async { while devices.join_next().await.is_some() {} };
        // Whoever hangs is dropped with the set.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended).await;
        let count = keys.len() as u32;
        say(&tally.report(count, connected, hub));
        connected == u64::from(count) || self.chaos
    }

    /// Shows how it goes until it is over.
    async fn watch(&self, tally: &Tally, count: u32, stop: impl Future<Output = ()>) {
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
                        say(&format!("\r\x1b[K{line}"));
                    } else if round % LOG_EVERY == 0 {
                        say(&format!("{line}\n"));
                    }
                    round += 1;
                }
            }
        }
        if terminal {
            say("\r\x1b[K");
        }
    }
}

/// The fleet goes on whether anybody reads this or not.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
