//! Samples per second: the hub's port for samples compared with a bare line reader, and the memory
//! of stored samples.

use ocelli_testkit::{Result, cpu_time, resident_bytes};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Number of samples in each run.
const SAMPLES: usize = 6_000_000;
/// Numbers of sources that send them.
pub const SOURCES: [usize; 2] = [1, 1000];
/// Token for reading the number of received samples from the hub.
const TOKEN: &str = "sk_token_of_the_sample_benchmark";
/// Timeout of a run.
const LIMIT: Duration = Duration::from_secs(120);

/// The results of one run.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Samples per second of elapsed time.
    pub wall: f64,
    /// Samples per second of the reader's CPU time.
    pub core: f64,
    /// Bytes of memory per stored sample.
    pub bytes: Option<f64>,
}

/// Runs the bare reader, which is this program in a separate process. It searches for line ends and
/// counts them.
pub fn bare() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            // After an error the connection ends without a count.
            let _ = count_lines(stream);
            // The thread is kept, because the CPU time of ended threads can't be read.
            loop {
                thread::park();
            }
        });
    }
    Ok(())
}

fn count_lines(stream: TcpStream) -> std::io::Result<()> {
    let mut response = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    let (mut line, mut count) = (Vec::new(), 0_u64);
    while reader.read_until(b'\n', &mut line)? > 0 {
        count += 1;
        line.clear();
    }
    response.write_all(&count.to_be_bytes())
}

struct Bare(Child);

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures the bare reader.
pub fn measure_bare(sources: usize) -> Result<Sample> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut bare = Bare(command.arg("lines").stdout(Stdio::piped()).spawn()?);
    let stdout = bare.0.stdout.take().ok_or("no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address: SocketAddr = line.trim().parse()?;
    let open = connect(address, sources)?;
    let started = Instant::now();
    // The reader answers with its count after the end of the input.
    let counted = send(open, true)?;
    if counted != SAMPLES + sources {
        return Err(format!("the bare reader counted {counted} lines").into());
    }
    Ok(speed(started.elapsed(), cpu_time(bare.0.id()), None))
}

/// A hub that accepts samples on a free port and has no cameras.
pub struct Hub {
    process: ocelli_testkit::Hub,
    samples: SocketAddr,
    directory: PathBuf,
}

impl Hub {
    /// Starts the hub.
    pub fn start(binary: &Path) -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("ocelli-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let config = directory.join("bench.toml");
        let keys = "tcp = \"127.0.0.1:0\"\nws = \"\"\nmax_samples = 10000000\n";
        std::fs::write(
            &config,
            format!("listen = \"127.0.0.1:0\"\n[telemetry]\n{keys}"),
        )?;
        let process = ocelli_testkit::Hub::builder(binary)
            .env("OCELLI_ADMIN_TOKEN", TOKEN)
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(directory.join("kept"))
            .start();
        let line = process.wait_stderr("samples over TCP on", Duration::from_secs(10));
        let line = line.ok_or("the hub does not accept samples")?;
        let samples = line.rsplit(' ').next().unwrap_or_default().parse()?;
        Ok(Self {
            process,
            samples,
            directory,
        })
    }

    /// Returns the address of its pages and sockets.
    pub fn main(&self) -> SocketAddr {
        self.process.addr()
    }

    /// Returns the address for sources of samples.
    pub fn samples(&self) -> SocketAddr {
        self.samples
    }

    /// Returns its CPU time.
    pub fn cpu_time(&self) -> Duration {
        self.process.cpu_time()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Stopped first, because it would write to the directory during its removal.
        self.process.terminate(Duration::from_secs(5));
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Measures the hub.
pub fn measure_hub(binary: &Path, sources: usize) -> Result<Sample> {
    let hub = Hub::start(binary)?;
    let pid = hub.process.pid();
    let open = connect(hub.samples, sources)?;
    let (cpu, memory, started) = (hub.cpu_time(), resident_bytes(pid), Instant::now());
    send(open, false)?;
    while count(hub.main())? < SAMPLES {
        if started.elapsed() > LIMIT {
            return Err("the hub did not accept all samples in time".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let (wall, cpu) = (started.elapsed(), hub.cpu_time().saturating_sub(cpu));
    let memory = resident_bytes(pid).saturating_sub(memory);
    Ok(speed(wall, cpu, Some(memory)))
}

fn speed(wall: Duration, cpu: Duration, memory: Option<u64>) -> Sample {
    let samples = SAMPLES as f64;
    Sample {
        wall: samples / wall.as_secs_f64(),
        core: samples / cpu.as_secs_f64().max(1e-9),
        bytes: memory.map(|memory| memory as f64 / samples),
    }
}

/// Connects this many sources and sends only their names.
fn connect(address: SocketAddr, sources: usize) -> Result<Vec<TcpStream>> {
    let mut open = Vec::new();
    for source in 0..sources {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(format!("bench {source}\n").as_bytes())?;
        open.push(stream);
    }
    Ok(open)
}

/// Sends all samples over these connections, with four threads. Returns the reader's count, or 0 if
/// it does not count.
fn send(mut open: Vec<TcpStream>, counts: bool) -> Result<usize> {
    let each = SAMPLES / open.len().max(1);
    let share = open.len().div_ceil(4).max(1);
    let mut threads = Vec::new();
    while !open.is_empty() {
        let mine = open.split_off(open.len().saturating_sub(share));
        threads.push(thread::spawn(move || write(mine, each, counts)));
    }
    let mut counted = 0;
    for thread in threads {
        counted += thread.join().map_err(|_| "a sender panicked")??;
    }
    Ok(counted)
}

fn write(mut streams: Vec<TcpStream>, each: usize, counts: bool) -> std::io::Result<usize> {
    const PIECE: usize = 2000;
    for first in (0..each).step_by(PIECE) {
        let mut text = String::new();
        for i in first..(first + PIECE).min(each) {
            // Regular times and two decimal places, as from a sensor.
            let y = 21.5 + ((i * 7919) % 997) as f64 / 100.0;
            text.push_str(&format!("{} {y:.2}\n", 1_700_000_000_000_u64 + i as u64));
        }
        for stream in &mut streams {
            stream.write_all(text.as_bytes())?;
        }
    }
    let mut counted = 0;
    for mut stream in streams {
        stream.shutdown(std::net::Shutdown::Write)?;
        if counts {
            let mut count = [0; 8];
            stream.read_exact(&mut count)?;
            counted += u64::from_be_bytes(count) as usize;
        }
    }
    Ok(counted)
}

/// Returns the number of samples in all series, from the hub's API.
fn count(hub: SocketAddr) -> Result<usize> {
    let mut stream = TcpStream::connect(hub)?;
    let request = format!(
        "GET /api/v1/series HTTP/1.1\r\nHost: {hub}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let counts = response.split("\"points\":").skip(1);
    let counts = counts.map(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        rest[..digits].parse::<usize>()
    });
    counts
        .sum::<std::result::Result<usize, _>>()
        .map_err(Into::into)
}
