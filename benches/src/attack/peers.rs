//! Individual hostile peers, one after another.

use super::options::Attack;
use crate::server::Programs;
use ocelli_testkit::Result;
use ocelli_testkit::hostile::{Form, Stage, Transport, attacks};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Runs the selected attacks; returns the exceeded limits.
///
/// # Errors
/// An attack can't be prepared, or the hub ended.
pub fn run(attack: &Attack, programs: &Programs) -> Result<Vec<String>> {
    let form = if attack.short {
        Form::Short
    } else {
        Form::Whole
    };
    let start_time = Instant::now();
    let (mut bad, mut count) = (Vec::new(), 0);
    let mut all = attacks();
    all.retain(|one| attack.selects(one.family, &one.name));
    for transport in [Transport::Plain, Transport::Tls] {
        let mut family = None;
        let mut stage: Option<(Stage, Directory)> = None;
        for one in all.iter().filter(|one| one.is_over(transport, form)) {
            // Each family gets a new hub, so that families don't affect each other.
            if family.replace(one.family) != Some(one.family) {
                // One hub at a time.
                drop(stage.take());
                let directory = Directory::new()?;
                let started = Stage::start(&programs.hub, &directory.0, transport, form)?;
                stage = Some((started, directory));
            }
            if let Some((stage, _)) = &mut stage {
                let outcome = stage.run(one)?;
                println!("{outcome}");
                bad.extend(outcome.failures());
                count += 1;
            }
        }
    }
    println!(
        "{count} attacks in {:.0} s",
        start_time.elapsed().as_secs_f64()
    );
    Ok(bad)
}

/// A directory for a hub's data; removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("ocelli-attack-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
