//! Thousands of connections on every port, and a full disk. A wall is watched throughout and must
//! stay live.
//!
//! The script runs it in a separate network namespace, in which all of 10.77.0.0/16 is local, so that
//! attackers have many addresses, and with a small file system for the hub's directory.

use super::attackers::{Attackers, HUB, PORTS, THREADS, TIMEOUT};
use super::connections::ATTACKS;
use super::options::Attack;
use crate::server::{self, Programs};
use ocelli_testkit::feed::{Cameras, Feed};
use ocelli_testkit::jpeg::Picture;
use ocelli_testkit::socket::Socket;
use ocelli_testkit::watcher::Watcher;
use ocelli_testkit::{Hub, Result};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

const CAMERAS: usize = 4;
/// Number of repetitions. Memory that grows only once is not a leak.
const ROUNDS: usize = 2;
/// A wall with a picture older than this, or with no picture for this long, is not live.
const LIVE: Duration = Duration::from_secs(2);
/// Longer than the hub's timeouts for silent connections.
const RECOVERY: Duration = Duration::from_secs(60);
const TOKEN: &str = "sk_token-of-the-attack-benchmark";

/// Runs all attacks of this part; returns what failed.
///
/// # Errors
/// The attacks can't be prepared.
pub fn run(attack: &Attack, programs: &Programs) -> Result<Vec<String>> {
    NetworkAttacks(attack).run(programs)
}

struct NetworkAttacks<'a>(&'a Attack);

impl NetworkAttacks<'_> {
    fn run(&self, programs: &Programs) -> Result<Vec<String>> {
        let cameras = Cameras::start(Feed {
            cameras: CAMERAS,
            fps: 8,
            picture: Picture::QVGA,
        })?;
        let config = self.0.directory.join("attack.toml");
        fs::write(&config, configuration(&cameras)?)?;
        let hub = server::hub_as_configured(programs, |hub| {
            hub.arg("--config")
                .arg(&config)
                .arg("--data")
                .arg(self.0.directory.join("store"))
                .env("OCELLI_ADMIN_TOKEN", TOKEN)
        })?;
        let watcher = Watcher::start(hub.addr(), "\"*\"");
        let ids = (1..=CAMERAS).map(|number| format!("cam{number}"));
        let ids: Vec<String> = ids.collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        watcher.until_live(&ids, TIMEOUT)?;
        watcher.take();
        let before = (hub.descriptors(), hub.threads(), hub.resident_bytes());
        let mut bad = Vec::new();
        let mut rests = Vec::new();
        for round in 1..=ROUNDS {
            println!("round {round} of {ROUNDS}");
            for (name, way) in ATTACKS {
                let fault = self.attack(name, way, &hub, &watcher);
                bad.extend(fault.map(|fault| format!("{name}: {fault}")));
            }
            bad.extend(
                self.fill_disk(&hub)
                    .err()
                    .map(|fault| format!("a full disk: {fault}")),
            );
            let fault = report_result("a full disk", &watcher, "");
            bad.extend(fault.map(|fault| format!("a full disk: {fault}")));
            println!("waiting until the hub has closed all connections");
            let started = Instant::now();
            let most = before.2 + before.2 / 2;
            let holds = || hub.descriptors() > before.0 + 20 || hub.resident_bytes() > most;
            while holds() && started.elapsed() < RECOVERY {
                thread::sleep(Duration::from_millis(200));
            }
            let after = (hub.descriptors(), hub.threads(), hub.resident_bytes());
            println!(
                "descriptors {} → {}, threads {} → {}, memory {:.1} → {:.1} MB, after {:.0} s",
                before.0,
                after.0,
                before.1,
                after.1,
                before.2 as f64 / 1e6,
                after.2 as f64 / 1e6,
                started.elapsed().as_secs_f64()
            );
            if after.0 > before.0 + 20 {
                bad.push(format!("{} descriptors are still open", after.0 - before.0));
            }
            if after.2 > most {
                let [before, after] = [before.2, after.2].map(|bytes| bytes / 1_000_000);
                bad.push(format!("{before} MB before, still {after} MB after"));
            }
            rests.push(after.2);
        }
        // The next round reuses the memory that the first one allocated. Memory that each round keeps
        // is a leak.
        if let [first, .., last] = rests[..]
            && last > first + first / 4
        {
            let megabytes = (last - first) / 1_000_000;
            bad.push(format!("repeating the attacks keeps {megabytes} MB more"));
        }
        Ok(bad)
    }

    /// Runs one attack; returns what failed.
    fn attack(
        &self,
        name: &str,
        way: fn(usize, &Attackers),
        hub: &Hub,
        watcher: &Watcher,
    ) -> Option<String> {
        let attackers = Arc::<Attackers>::default();
        let threads = (0..THREADS).map(|number| {
            let attackers = attackers.clone();
            thread::spawn(move || way(number, &attackers))
        });
        let threads: Vec<_> = threads.collect();
        let until = Instant::now() + Duration::from_secs(self.0.seconds);
        let (mut descriptors, mut memory) = (0, 0);
        while Instant::now() < until {
            thread::sleep(Duration::from_millis(500));
            descriptors = descriptors.max(hub.descriptors());
            memory = memory.max(hub.resident_bytes());
        }
        let new_client = Socket::open(hub.addr(), "/ws/cameras", "", TIMEOUT).is_ok();
        attackers.end();
        for thread in threads {
            let _ = thread.join();
        }
        let details = format!(
            "{} connections, {} refused or ended, at most {descriptors} descriptors and {:.0} MB; a new client was {}",
            attackers.made.load(Ordering::Relaxed),
            attackers.ended.load(Ordering::Relaxed),
            memory as f64 / 1e6,
            if new_client { "served" } else { "not served" }
        );
        report_result(name, watcher, &details)
    }

    /// Fills the hub's file system while the hub runs, and then frees the space.
    fn fill_disk(&self, hub: &Hub) -> Result<()> {
        let filling = self.0.directory.join("filling");
        let mut file = fs::File::create(&filling)?;
        let zeros = vec![0; 64 * 1024];
        while file.write_all(&zeros).is_ok() {}
        while file.write_all(&[0; 64]).is_ok() {}
        let mut samples = TcpStream::connect(SocketAddr::from((HUB, PORTS[1])))?;
        samples.write_all(b"while the disk is full\n")?;
        let mut refused = 0;
        let until = Instant::now() + Duration::from_secs(self.0.seconds.max(5));
        let mut number = 0;
        while Instant::now() < until {
            number += 1;
            let line = format!("{} {number}\n", 1_700_000_000_000_u64 + number);
            samples.write_all(line.as_bytes())?;
            refused += u64::from(create_key(hub, number)? >= 500);
            thread::sleep(Duration::from_millis(100));
        }
        drop(file);
        fs::remove_file(&filling)?;
        println!("  {refused} of {number} calls failed because the store can't write");
        let started = Instant::now();
        while create_key(hub, number + 1)? >= 300 {
            if started.elapsed() > RECOVERY {
                return Err("the store still does not write after space was freed".into());
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

/// Prints whether the wall stayed live. Returns what was wrong.
fn report_result(name: &str, watcher: &Watcher, details: &str) -> Option<String> {
    let seen = watcher.take();
    println!(
        "{name}: the wall's oldest picture {:.0} ms, longest gap {:.0} ms ({}), {} frames, {} disconnects\n  {details}",
        seen.age.as_secs_f64() * 1e3,
        seen.gap.0.as_secs_f64() * 1e3,
        seen.gap.1,
        seen.frames,
        seen.breaks
    );
    let live = seen.breaks == 0 && seen.frames > 0 && seen.age < LIVE && seen.gap.0 < LIVE;
    (!live).then(|| "the wall did not stay live".to_owned())
}

fn configuration(cameras: &Cameras) -> Result<String> {
    let own = |port| SocketAddr::from((HUB, port));
    let mut text = format!(
        "listen = \"{}\"\n[telemetry]\ntcp = \"{}\"\nws = \"{}\"\n",
        own(PORTS[0]),
        own(PORTS[1]),
        own(PORTS[2])
    );
    for source in cameras.sources(CAMERAS) {
        let (id, url) = source.split_once('=').ok_or("a source without an id")?;
        text += &format!("[[camera]]\nid = \"{id}\"\nsource = \"{url}\"\n");
    }
    let (http, ws) = (own(PORTS[3]), own(PORTS[4]));
    text += &format!("jsmpeg_ports = {{ http = \"{http}\", ws = \"{ws}\" }}\n");
    Ok(text)
}

/// Creates a key, which the store must write. Returns the response status.
fn create_key(hub: &Hub, number: u64) -> Result<u16> {
    let mut stream = TcpStream::connect(hub.addr())?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let body = format!("{{\"room\":\"full{number}\"}}");
    let request = format!(
        "POST /api/v1/apps/live/ws-ingest HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        hub.addr(),
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let status = response.split(' ').nth(1).ok_or("no answer")?;
    Ok(status.parse()?)
}
