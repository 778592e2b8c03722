//! The doctor as a process, and hand-written servers for it to examine.

use super::hub::OCELLI;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The doctor's output and its exit code.
pub struct DoctorOutput {
    pub code: Option<i32>,
    pub text: String,
    pub all: String,
}

impl DoctorOutput {
    pub fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let all = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        let code = output.status.code();
        Self { code, text, all }
    }

    /// Returns the output line of one check with this result, including the comparison after
    /// it.
    pub fn finding(&self, result: &str, check: &str) -> String {
        let lines: Vec<_> = self.text.lines().collect();
        let begin = format!("{result}  {check:<15}");
        let at = lines.iter().position(|line| line.starts_with(&begin));
        let at = at.unwrap_or_else(|| panic!("no {result} of {check} in:\n{}", self.all));
        let rest = lines[at + 1..].iter();
        let compared = rest.take_while(|line| line.starts_with("      "));
        let compared = compared.map(|line| line.trim());
        std::iter::once(lines[at])
            .chain(compared)
            .collect::<Vec<_>>()
            .join("\n")
    }

    pub fn fails(&self, check: &str, words: &[&str]) {
        let finding = self.finding("FAIL", check);
        for word in words {
            assert!(finding.contains(word), "{word:?} in: {finding}");
        }
        assert_eq!(self.code, Some(1), "{}", self.all);
    }

    pub fn warns(&self, check: &str, words: &[&str]) {
        let finding = self.finding("WARN", check);
        for word in words {
            assert!(finding.contains(word), "{word:?} in: {finding}");
        }
    }

    /// Checks that nothing failed except these.
    pub fn only(&self, checks: &[&str]) {
        let failed: Vec<_> = self
            .text
            .lines()
            .filter(|line| line.starts_with("FAIL"))
            .collect();
        assert_eq!(failed.len(), checks.len(), "{}", self.text);
        for check in checks {
            self.finding("FAIL", check);
        }
    }

    pub fn passes(&self) {
        assert_eq!(self.code, Some(0), "{}", self.all);
        let bad = self
            .text
            .lines()
            .any(|line| line.starts_with("FAIL") || line.starts_with("WARN"));
        assert!(!bad, "{}", self.text);
    }
}

/// Runs the doctor with these arguments.
pub fn doctor(arguments: &[&str]) -> DoctorOutput {
    doctor_with(arguments, &[])
}

/// Runs the doctor with these arguments and additional environment variables.
pub fn doctor_with(arguments: &[&str], environment: &[(&str, &str)]) -> DoctorOutput {
    let mut command = Command::new("timeout");
    command.envs(environment.iter().copied());
    command.arg("60").arg(OCELLI).arg("doctor").args(arguments);
    DoctorOutput::of(
        &command
            .stdin(Stdio::null())
            .output()
            .expect("the program runs"),
    )
}

/// Reads a request up to its empty line.
pub fn request(stream: &mut impl Read) -> Option<String> {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        read.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&read).into_owned())
}

/// Returns the value of a request's header; empty if it has none.
pub fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let mut lines = request.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_default()
}

/// Starts a server that answers each connection's request with `answer`, and then reads until
/// the client disconnects.
pub fn server(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Some(request) = request(&mut stream) else {
                continue;
            };
            let _ = stream.write_all(&answer(&request));
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    format!("ws://{address}/socket")
}

/// Returns the correct response to a request.
pub fn right(request: &str) -> String {
    let key = header(request, "Sec-WebSocket-Key");
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// Byte sequences to corrupt, and the replacement of their first byte.
pub type Corruption = &'static [(&'static [u8], u8)];

/// Forwards connections to an RTSP server's `port` and corrupts its responses. Connections
/// beyond `limit` get a busy response.
pub fn proxy(port: u16, corruption: Corruption, limit: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for (count, client) in listener.incoming().flatten().enumerate() {
            thread::spawn(move || pass_on(client, port, corruption, count >= limit));
        }
    });
    own
}

fn pass_on(mut client: TcpStream, port: u16, corruption: Corruption, busy: bool) -> Option<()> {
    if busy {
        request(&mut client)?;
        let response = b"RTSP/1.0 453 Not Enough Bandwidth\r\nCSeq: 1\r\n\r\n";
        return client.write_all(response).ok();
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let (mut requested, mut ask) = (client.try_clone().ok()?, server.try_clone().ok()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut requested, &mut ask);
        let _ = ask.shutdown(std::net::Shutdown::Both);
    });
    let mut bytes = vec![0; 65536];
    loop {
        let len = server.read(&mut bytes).ok().filter(|len| *len > 0)?;
        for at in 0..len {
            for (word, instead) in corruption {
                if bytes[at..len].starts_with(word) {
                    bytes[at] = *instead;
                }
            }
        }
        client.write_all(&bytes[..len]).ok()?;
    }
}
