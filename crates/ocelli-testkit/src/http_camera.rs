//! An HTTP camera in the test's own process, with correct and faulty behaviour.

use crate::digest;
use crate::jpeg::Picture;
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Options of the camera.
#[derive(Clone, Debug)]
pub struct HttpCameraOptions {
    /// Its pictures; the shade increases by 16 with each.
    pub picture: Picture,
    /// Frame rate, in pictures per second.
    pub fps: u32,
    /// The user allowed to see `/basic/…` and `/digest/…`.
    pub user: String,
    /// That user's password.
    pub password: String,
    /// The address it listens on.
    pub listen: SocketAddr,
}

impl Default for HttpCameraOptions {
    fn default() -> Self {
        Self {
            picture: Picture::QVGA,
            fps: 10,
            user: "viewer".into(),
            password: "s3cret".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

/// A running HTTP camera. A query after the path is ignored.
///
/// | path | response |
/// |---|---|
/// | `/mjpeg` | correct multipart |
/// | `/quoted` | the boundary in quotes, with characters that require them |
/// | `/dashes` | `boundary=--frame`, and `--frame` between the parts |
/// | `/nolength` | parts without `Content-Length` |
/// | `/lf` | lines that end in a bare LF |
/// | `/chunked` | chunked transfer, with arbitrary chunk boundaries |
/// | `/preamble` | text before the first boundary |
/// | `/mixed` | every second part is text, not a picture |
/// | `/slow` | each part in ten pieces over 300 ms |
/// | `/still.jpg` | one picture |
/// | `/slow.jpg` | one picture, over a second |
/// | `/suspend` | one picture, then silence |
/// | `/silent` | headers, then silence |
/// | `/dead` | not even headers |
/// | `/close` | one picture, then the end |
/// | `/cut` | half a picture, then the end |
/// | `/endless` | one part that never ends, 10 MB/s |
/// | `/html` | a page |
/// | `/error` | 500 |
/// | `/moved` | 302 to `/mjpeg` |
/// | `/basic/…`, `/digest/…` | any of these with valid credentials, else 401 |
pub struct HttpCamera {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    options: HttpCameraOptions,
    started: Instant,
    counts: Mutex<HashMap<String, Counts>>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    open: usize,
    most: usize,
    requests: usize,
}

impl HttpCamera {
    /// Starts the camera on the current runtime.
    pub async fn start(options: HttpCameraOptions) -> Self {
        let listener = TcpListener::bind(options.listen)
            .await
            .expect("the camera's port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            options,
            started: Instant::now(),
            counts: Mutex::default(),
        });
        let own = shared.clone();
        let accepting = tokio::spawn(async move {
            // Dropping this task drops the connections too.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = own.clone();
                connections.spawn(async move {
                    let _ = shared.answer(stream).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of a path, without user and password.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.address, path.trim_start_matches('/'))
    }

    /// Returns the URL of a path with the given user and password.
    pub fn url_as(&self, user: &str, password: &str, path: &str) -> String {
        format!(
            "http://{user}:{password}@{}/{}",
            self.address,
            path.trim_start_matches('/')
        )
    }

    /// The number of requests for a path that are being served now.
    pub fn open(&self, path: &str) -> usize {
        self.shared.counts(path).open
    }

    /// The most requests for a path that were open at once.
    pub fn most(&self, path: &str) -> usize {
        self.shared.counts(path).most
    }

    /// The number of requests for a path so far, including refused ones.
    pub fn requests(&self, path: &str) -> usize {
        self.shared.counts(path).requests
    }

    /// Stops the camera and closes all its connections; its port is free afterwards.
    pub async fn stop(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for HttpCamera {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// How the parts of a stream are separated.
struct Style {
    content_type: &'static str,
    delimiter: &'static str,
    newline: &'static str,
    length: bool,
}

const PLAIN: Style = Style {
    content_type: "multipart/x-mixed-replace; boundary=frame",
    delimiter: "--frame",
    newline: "\r\n",
    length: true,
};

const QUOTED: Style = Style {
    content_type: "multipart/x-mixed-replace;boundary=\"a picture: (one)=?\"",
    delimiter: "--a picture: (one)=?",
    ..PLAIN
};

const DASHES: Style = Style {
    content_type: "multipart/x-mixed-replace; boundary=--frame",
    ..PLAIN
};

const NO_LENGTH: Style = Style {
    length: false,
    ..PLAIN
};

const LF: Style = Style {
    newline: "\n",
    ..PLAIN
};

/// Counts a request as open while it is served.
struct Open<'a> {
    shared: &'a Shared,
    path: String,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.count(&self.path, |counts| counts.open -= 1);
    }
}

impl Shared {
    fn counts(&self, path: &str) -> Counts {
        let path = format!("/{}", path.trim_start_matches('/'));
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&path).copied().unwrap_or_default()
    }

    fn count(&self, path: &str, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(path.to_owned()).or_default());
    }

    async fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let head = read_head(&mut stream).await?;
        let mut words = head.split_whitespace();
        let (method, target) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let path = target.split('?').next().unwrap_or_default().to_owned();
        self.count(&path, |counts| {
            counts.open += 1;
            counts.most = counts.most.max(counts.open);
            counts.requests += 1;
        });
        let open = Open { shared: self, path };
        let (user, password) = (&self.options.user, &self.options.password);
        let authorization = header(&head, "authorization").unwrap_or_default();
        let mut path = open.path.as_str();
        if let Some(rest) = path.strip_prefix("/basic/") {
            path = rest;
            if !digest::basic_fits(authorization, user, password) {
                return unauthorized(&mut stream, "Basic realm=\"testkit\"").await;
            }
        } else if let Some(rest) = path.strip_prefix("/digest/") {
            path = rest;
            if !digest::digest_fits(authorization, method, target, user, password) {
                return unauthorized(&mut stream, &digest::challenge()).await;
            }
        }
        // Runs until the viewer disconnects, whatever the path does.
        let (mut reading, mut writing) = stream.into_split();
        let mut nothing = [0; 256];
        let gone =
            async { while matches!(reading.read(&mut nothing).await, Ok(count) if count > 0) {} };
        tokio::select! {
            result = self.serve(path.trim_start_matches('/'), &mut writing) => result,
            () = gone => Ok(()),
        }
    }

    async fn serve<W: AsyncWriteExt + Unpin>(&self, path: &str, out: &mut W) -> io::Result<()> {
        match path {
            "mjpeg" => self.stream(out, &PLAIN).await,
            "quoted" => self.stream(out, &QUOTED).await,
            "dashes" => self.stream(out, &DASHES).await,
            "nolength" => self.stream(out, &NO_LENGTH).await,
            "lf" => self.stream(out, &LF).await,
            "chunked" => self.chunked(out).await,
            "preamble" => {
                begin(out, PLAIN.content_type).await?;
                out.write_all(b"pictures\r\n--fra\r\n\r\nfollow\r\n")
                    .await?;
                self.parts(out, &PLAIN).await
            }
            "mixed" => self.mixed(out).await,
            "slow" => {
                begin(out, PLAIN.content_type).await?;
                for sequence in 0.. {
                    let part = part(&self.picture(sequence), &PLAIN);
                    in_pieces(out, &part, Duration::from_millis(30)).await?;
                }
                Ok(())
            }
            "still.jpg" => respond(out, "200 OK", "image/jpeg", &self.newest()).await,
            "slow.jpg" => {
                let picture = self.newest();
                let head = head("200 OK", "image/jpeg", picture.len());
                out.write_all(head.as_bytes()).await?;
                in_pieces(out, &picture, Duration::from_millis(100)).await
            }
            "freeze" => {
                begin(out, PLAIN.content_type).await?;
                // Several, so that the hub knows the interval and soon notices the silence.
                for _ in 0..3 {
                    out.write_all(&part(&self.newest(), &PLAIN)).await?;
                }
                silence().await
            }
            "silent" => {
                begin(out, PLAIN.content_type).await?;
                silence().await
            }
            "dead" => silence().await,
            "close" => {
                begin(out, PLAIN.content_type).await?;
                out.write_all(&part(&self.newest(), &PLAIN)).await
            }
            "cut" => {
                begin(out, PLAIN.content_type).await?;
                let part = part(&self.newest(), &PLAIN);
                out.write_all(&part[..part.len() / 2]).await
            }
            "endless" => {
                begin(out, PLAIN.content_type).await?;
                out.write_all(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n\xFF\xD8")
                    .await?;
                loop {
                    out.write_all(&[0; 100_000]).await?;
                    sleep(Duration::from_millis(10)).await;
                }
            }
            "html" => {
                respond(
                    out,
                    "200 OK",
                    "text/html",
                    b"<h1>Sign in to your camera</h1>",
                )
                .await
            }
            "error" => {
                respond(
                    out,
                    "500 Internal Server Error",
                    "text/plain",
                    b"out of order",
                )
                .await
            }
            "moved" => {
                let head = "HTTP/1.1 302 Found\r\nLocation: /mjpeg\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                out.write_all(head.as_bytes()).await
            }
            _ => respond(out, "404 Not Found", "text/plain", b"no such path").await,
        }
    }

    /// The number of the current picture, the same for all viewers.
    fn sequence(&self) -> u64 {
        (self.started.elapsed().as_secs_f64() * f64::from(self.options.fps)) as u64
    }

    fn picture(&self, sequence: u64) -> Bytes {
        let shade = (sequence % 16 * 16 + 8) as u8;
        Picture {
            shade,
            ..self.options.picture
        }
        .encode_now(sequence)
    }

    fn newest(&self) -> Bytes {
        self.picture(self.sequence())
    }

    /// Waits until the picture after `last` is due and returns its number.
    async fn next(&self, last: u64) -> u64 {
        let next = self.sequence().max(last) + 1;
        let due = Duration::from_secs_f64(next as f64 / f64::from(self.options.fps));
        sleep(due.saturating_sub(self.started.elapsed())).await;
        next
    }

    async fn stream<W: AsyncWriteExt + Unpin>(&self, out: &mut W, style: &Style) -> io::Result<()> {
        begin(out, style.content_type).await?;
        self.parts(out, style).await
    }

    async fn parts<W: AsyncWriteExt + Unpin>(&self, out: &mut W, style: &Style) -> io::Result<()> {
        let mut sequence = self.sequence();
        loop {
            out.write_all(&part(&self.picture(sequence), style)).await?;
            sequence = self.next(sequence).await;
        }
    }

    async fn chunked<W: AsyncWriteExt + Unpin>(&self, out: &mut W) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            PLAIN.content_type
        );
        out.write_all(head.as_bytes()).await?;
        let mut sequence = self.sequence();
        loop {
            for piece in part(&self.picture(sequence), &PLAIN).chunks(997) {
                out.write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                    .await?;
                out.write_all(piece).await?;
                out.write_all(b"\r\n").await?;
            }
            sequence = self.next(sequence).await;
        }
    }

    async fn mixed<W: AsyncWriteExt + Unpin>(&self, out: &mut W) -> io::Result<()> {
        begin(out, PLAIN.content_type).await?;
        let mut sequence = self.sequence();
        loop {
            out.write_all(
                b"--frame\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello\r\n",
            )
            .await?;
            out.write_all(&part(&self.picture(sequence), &PLAIN))
                .await?;
            sequence = self.next(sequence).await;
        }
    }
}

/// Returns a part, preceded by its boundary.
fn part(picture: &[u8], style: &Style) -> Vec<u8> {
    let newline = style.newline;
    let mut part = format!(
        "{}{newline}Content-Type: image/jpeg{newline}",
        style.delimiter
    );
    if style.length {
        part += &format!("Content-Length: {}{newline}", picture.len());
    }
    part += newline;
    let mut part = part.into_bytes();
    part.extend_from_slice(picture);
    part.extend_from_slice(newline.as_bytes());
    part
}

async fn begin<W: AsyncWriteExt + Unpin>(out: &mut W, content_type: &str) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n");
    out.write_all(head.as_bytes()).await
}

fn head(status: &str, content_type: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

async fn respond<W: AsyncWriteExt + Unpin>(
    out: &mut W,
    status: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<()> {
    out.write_all(head(status, content_type, body.len()).as_bytes())
        .await?;
    out.write_all(body).await
}

async fn unauthorized(out: &mut TcpStream, challenge: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    out.write_all(head.as_bytes()).await
}

async fn in_pieces<W: AsyncWriteExt + Unpin>(
    out: &mut W,
    bytes: &[u8],
    pause: Duration,
) -> io::Result<()> {
    for piece in bytes.chunks(bytes.len().div_ceil(10)) {
        out.write_all(piece).await?;
        sleep(pause).await;
    }
    Ok(())
}

async fn silence() -> io::Result<()> {
    std::future::pending().await
}

async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 16_384 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
