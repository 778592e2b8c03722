//! All viewers of a run: one thread, one epoll instance, one buffer.

use crate::scenario::Sink;
use crate::tally::Tally;
use crate::viewer::Viewer;
use ocelli_testkit::Result;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const SCRATCH: usize = 256 * 1024;
/// Interval at which a slow viewer reads.
const SLOW_PACE: Duration = Duration::from_millis(20);

/// The speed of a viewer on a slow link.
#[derive(Clone, Copy)]
pub struct Slow {
    pub bytes_per_second: f64,
    pub receive_buffer: usize,
}

/// All the viewers of a run.
pub struct Load {
    epoll: OwnedFd,
    viewers: Vec<Viewer>,
    scratch: Vec<u8>,
    slow: Option<Slow>,
    slow_next: Instant,
    pub tally: Tally,
}

impl Load {
    pub fn new() -> Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            viewers: Vec::new(),
            scratch: vec![0; SCRATCH],
            slow: None,
            slow_next: Instant::now(),
            tally: Tally::default(),
        })
    }

    /// Adds `count` viewers, spread evenly over the cameras.
    pub fn add(
        &mut self,
        address: SocketAddr,
        sink: Sink,
        count: usize,
        cameras: usize,
    ) -> Result<()> {
        self.connect(address, sink, count, cameras, None)
    }

    /// Adds `count` slow viewers of the first camera.
    pub fn add_slow(
        &mut self,
        address: SocketAddr,
        sink: Sink,
        count: usize,
        slow: Slow,
    ) -> Result<()> {
        self.slow = Some(slow);
        self.connect(address, sink, count, 1, Some(slow.receive_buffer))
    }

    fn connect(
        &mut self,
        address: SocketAddr,
        sink: Sink,
        count: usize,
        cameras: usize,
        receive_buffer: Option<usize>,
    ) -> Result<()> {
        let first = self.viewers.len();
        for number in 0..count {
            let camera = 1 + number % cameras;
            self.viewers
                .push(Viewer::ask(address, sink, camera, receive_buffer)?);
        }
        for index in first..self.viewers.len() {
            let viewer = &mut self.viewers[index];
            viewer.open()?;
            if !viewer.slow {
                let place = EventData::new_u64(index as u64);
                epoll::add(&self.epoll, &viewer.stream, place, EventFlags::IN)?;
            }
        }
        Ok(())
    }

    /// Reads until every viewer has received a frame.
    pub fn until_started(&mut self, limit: Duration) -> Result<()> {
        let until = Instant::now() + limit;
        while !self.viewers.iter().all(|viewer| viewer.started) {
            if Instant::now() > until {
                let waiting = self.viewers.iter().filter(|viewer| !viewer.started).count();
                return Err(
                    format!("{waiting} of {} viewers got no frame", self.viewers.len()).into(),
                );
            }
            self.step(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// Reads for this long.
    pub fn read_for(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.step(left)?;
        }
    }

    /// Waits for something to read, at most this long, and reads it.
    fn step(&mut self, limit: Duration) -> Result<()> {
        let mut wait = limit;
        if let Some(slow) = self.slow {
            let now = Instant::now();
            if now >= self.slow_next {
                self.read_slowly(slow)?;
                // A late read is not made up for, because the link has a fixed speed.
                self.slow_next = (self.slow_next + SLOW_PACE).max(now);
            }
            wait = wait.min(self.slow_next.saturating_duration_since(now));
        }
        let mut events = [epoll::Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; 64];
        let wait = Timespec::try_from(wait)?;
        let count = match epoll::wait(&self.epoll, &mut events[..], Some(&wait)) {
            Err(rustix::io::Errno::INTR) => 0,
            result => result?,
        };
        for event in &events[..count] {
            let data = event.data;
            let viewer = &mut self.viewers[data.u64() as usize];
            viewer.read(&mut self.scratch, false, &mut self.tally)?;
        }
        Ok(())
    }

    fn read_slowly(&mut self, slow: Slow) -> Result<()> {
        let count = (slow.bytes_per_second * SLOW_PACE.as_secs_f64()) as usize;
        for viewer in self.viewers.iter_mut().filter(|viewer| viewer.slow) {
            viewer.read(&mut self.scratch[..count], true, &mut self.tally)?;
        }
        Ok(())
    }
}
