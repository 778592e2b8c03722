//! RTP over UDP, for cameras that do not send over TCP.
//!
//! Packets are accepted only from the camera's address. Nothing is queued except in the
//! kernel's buffer, so a camera that exceeds its budget loses packets.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdSocket};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// The largest packet.
const MAX_PACKET: usize = 64 << 10;
/// Size of the kernel's buffer for received packets, for the packets of a key frame. The kernel
/// may allow less.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Number of port pairs that are tried.
const TRIES: usize = 32;
/// Interval of receiver reports, which some cameras need as keep-alive (RFC 3550, 6.2).
const REPORTS: Duration = Duration::from_secs(5);
/// The source identifier of this receiver. A session has only one.
const RECEIVER: u32 = 0x6F63_656C;

/// The two ports of one track, for RTP and RTCP.
pub struct Datagrams {
    rtp: UdpSocket,
    /// The same socket, to send without waiting.
    opener: StdSocket,
    /// Nothing is read from this one.
    rtcp: StdSocket,
    /// The camera's address.
    camera: IpAddr,
    /// The camera's ports for RTP and RTCP, once known.
    target: Option<(u16, u16)>,
    buffer: Box<[u8]>,
    /// When the last receiver report was sent.
    reported: Instant,
}

impl Datagrams {
    /// Opens two consecutive ports for packets from `camera` at this machine's address `local`.
    ///
    /// # Errors
    /// No ports are free.
    pub fn open(local: IpAddr, camera: IpAddr) -> io::Result<Self> {
        let (rtp, rtcp) = pair(local)?;
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&rtp, RECEIVE_BUFFER);
        for socket in [&rtp, &rtcp] {
            socket.set_nonblocking(true)?;
        }
        Ok(Self {
            opener: rtp.try_clone()?,
            rtp: UdpSocket::from_std(rtp)?,
            rtcp,
            camera: camera.to_canonical(),
            target: None,
            buffer: vec![0; MAX_PACKET].into(),
            reported: Instant::now(),
        })
    }

    /// Returns the two ports.
    ///
    /// # Errors
    /// The sockets have no address.
    pub fn ports(&self) -> io::Result<(u16, u16)> {
        Ok((
            self.rtp.local_addr()?.port(),
            self.rtcp.local_addr()?.port(),
        ))
    }

    /// Sets the camera's ports, and sends a packet to each, so that routers and firewalls in
    /// between let the camera's packets through.
    pub fn aim(&mut self, ports: (u16, u16)) {
        self.target = Some(ports);
        // An empty RTP packet of an unassigned payload type.
        let mut packet = vec![0x80, 127, 0, 0, 0, 0, 0, 0];
        packet.extend(RECEIVER.to_be_bytes());
        self.send(&self.opener, ports.0, &packet);
        self.report();
    }

    /// Sends a receiver report if one is due. Call this after each packet.
    pub fn report_when_due(&mut self) {
        if self.reported.elapsed() >= REPORTS {
            self.reported = Instant::now();
            self.report();
        }
    }

    /// Sends a receiver report without statistics.
    fn report(&self) {
        let Some((_, port)) = self.target else {
            return;
        };
        let name = b"ocelli";
        let mut packet = vec![0x80, 201, 0, 1];
        packet.extend(RECEIVER.to_be_bytes());
        // Source description: the canonical name, padded to a multiple of four bytes.
        packet.extend([0x81, 202, 0, 4]);
        packet.extend(RECEIVER.to_be_bytes());
        packet.extend([1, name.len() as u8]);
        packet.extend(name);
        packet.extend([0; 4]);
        self.send(&self.rtcp, port, &packet);
    }

    /// Sends a packet. Its loss does not matter.
    fn send(&self, socket: &StdSocket, port: u16, packet: &[u8]) {
        let _ = socket.send_to(packet, SocketAddr::new(self.camera, port));
    }

    /// Receives a packet. Returns its length, or `None` if it is from another address.
    ///
    /// # Errors
    /// The socket fails.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<usize>>> {
        let mut room = ReadBuf::new(&mut self.buffer);
        match ready!(self.rtp.poll_recv_from(cx, &mut room)) {
            Ok(from) => {
                let is_camera = from.ip().to_canonical() == self.camera;
                Poll::Ready(Ok(is_camera.then_some(room.filled().len())))
            }
            // The camera's answer to an unwanted packet.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Poll::Ready(Ok(None)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Returns the last packet's bytes.
    pub fn bytes(&self, len: usize) -> &[u8] {
        &self.buffer[..len]
    }
}

/// Opens two consecutive ports, the first of which is even, as RTP requires.
fn pair(local: IpAddr) -> io::Result<(StdSocket, StdSocket)> {
    let mut failure = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let first = StdSocket::bind((local, 0))?;
        let port = first.local_addr()?.port();
        // The neighbour that makes it a pair.
        match StdSocket::bind((local, port ^ 1)) {
            Ok(second) if port % 2 == 0 => return Ok((first, second)),
            Ok(second) => return Ok((second, first)),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn only_the_cameras_packets_are_received() {
        let camera: IpAddr = [127, 0, 0, 2].into();
        let mut ours = Datagrams::open(LOCAL, camera).expect("ports");
        let (rtp, rtcp) = ours.ports().expect("ports");
        assert!(rtp % 2 == 0 && rtcp == rtp + 1);
        let stranger = StdSocket::bind((LOCAL, 0)).expect("a port");
        let socket = StdSocket::bind((camera, 0)).expect("a port");
        stranger.send_to(b"stranger", (LOCAL, rtp)).expect("sent");
        socket.send_to(b"camera", (LOCAL, rtp)).expect("sent");
        let received = poll_fn(|cx| ours.poll(cx)).await.expect("a packet");
        assert_eq!(received, None);
        let received = poll_fn(|cx| ours.poll(cx)).await.expect("a packet");
        assert_eq!(received.map(|len| ours.bytes(len)), Some(&b"camera"[..]));
    }

    #[tokio::test]
    async fn packets_open_the_way_and_the_ports_are_given_back() {
        let camera = StdSocket::bind((LOCAL, 0)).expect("a port");
        let port = camera.local_addr().expect("an address").port();
        let mut ours = Datagrams::open(LOCAL, LOCAL).expect("ports");
        let ports = ours.ports().expect("ports");
        ours.aim((port, port));
        let mut bytes = [0; 100];
        for (len, kind, from) in [(12, 127, ports.0), (28, 201, ports.1)] {
            let received = camera.recv_from(&mut bytes).expect("a packet");
            assert_eq!((received.0, received.1.port()), (len, from));
            assert_eq!(bytes[..2], [0x80, kind]);
        }
        drop(ours);
        for port in [ports.0, ports.1] {
            StdSocket::bind((LOCAL, port)).expect("a free port");
        }
    }
}
