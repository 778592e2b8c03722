//! `openssl s_server`: a TLS server that also speaks versions and ciphers that no library of this
//! project speaks.

use crate::jpeg::Picture;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A running server; dropping it ends it. It answers a request for `/answer` with a JPEG.
pub struct OpenSsl {
    child: Child,
    port: u16,
    dir: PathBuf,
    /// Closing it would end the server when it prints.
    _output: BufReader<ChildStdout>,
}

/// An RSA key and a certificate for `localhost`, which is signed with that key.
static KEY_AND_CERTIFICATE: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let dir = directory();
    let (key, certificate) = (dir.join("key.pem"), dir.join("cert.pem"));
    let made = Command::new("openssl")
        .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=camera".split(' '))
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-keyout".as_ref(), key.as_os_str()])
        .args(["-out".as_ref(), certificate.as_os_str()])
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl").success(), "openssl makes a key");
    let made = [key, certificate].map(|file| fs::read(file).expect("openssl's output"));
    let _ = fs::remove_dir_all(dir);
    made.into()
});

/// Creates a directory.
fn directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = format!("ocelli-openssl-{}-{number}", std::process::id());
    let dir = std::env::temp_dir().join(dir);
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

impl OpenSsl {
    /// Starts a server with these additional arguments, separated by blanks.
    ///
    /// # Panics
    /// Panics if openssl is missing or refuses the arguments.
    pub fn start(arguments: &str) -> Self {
        let dir = directory();
        let (key, certificate) = &*KEY_AND_CERTIFICATE;
        let head = b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n";
        let answer = [head, &Picture::QVGA.encode_now(1)[..]].concat();
        for (name, bytes) in [
            ("key.pem", key),
            ("cert.pem", certificate),
            ("answer", &answer),
        ] {
            fs::write(dir.join(name), bytes).expect("a file");
        }
        let mut child = Command::new("openssl")
            .args("s_server -accept 127.0.0.1:0 -HTTP -key key.pem -cert cert.pem".split(' '))
            .args(arguments.split(' '))
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while !line.starts_with("ACCEPT ") {
            line.clear();
            let len = output.read_line(&mut line).expect("openssl's output");
            assert!(len > 0, "openssl s_server {arguments} has ended");
        }
        let port = line.trim().rsplit(':').next();
        Self {
            child,
            port: port.and_then(|port| port.parse().ok()).expect("a port"),
            dir,
            _output: output,
        }
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the file with its certificate, which is its own authority.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("cert.pem")
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
