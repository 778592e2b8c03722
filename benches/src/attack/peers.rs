//! Single hostile peers, one after the other.

use super::Attack;
use crate::Result;
use crate::server::Programs;
use ocelli_testkit::hostile::{Form, Stage, Transport, attacks};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Has a hub bear those that are wanted; what was not borne.
///
/// # Errors
/// An attack can't be made, or there is no hub any more.
pub fn run(attack: &Attack, programs: &Programs) -> Result<Vec<String>> {
    let form = if attack.short {
        Form::Short
    } else {
        Form::Whole
    };
    let begun = Instant::now();
    let (mut bad, mut borne) = (Vec::new(), 0);
    let mut all = attacks();
    all.retain(|one| attack.wants(one.family, &one.name));
    for transport in [Transport::Plain, Transport::Tls] {
        let mut family = None;
        let mut stage: Option<(Stage, Directory)> = None;
        for one in all.iter().filter(|one| one.is_over(transport, form)) {
            // A family has a hub of its own: what one leaves behind is not another's.
            if family.replace(one.family) != Some(one.family) {
                // Not two at a time.
                drop(stage.take());
                let directory = Directory::new()?;
                let started = Stage::start(&programs.hub, &directory.0, transport, form)?;
                stage = Some((started, directory));
            }
            if let Some((stage, _)) = &mut stage {
                let outcome = stage.bear(one)?;
                println!("{outcome}");
                bad.extend(outcome.failures());
                borne += 1;
            }
        }
    }
    println!(
        "{borne} hostile peers in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(bad)
}

/// A hub's directory, on no small file system; it goes with the hub.
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
