//! RTP over UDP or multicast, for cameras that do not send over TCP.
//!
//! Packets are accepted only from the camera's address, and from the one that it has named as
//! their source. Nothing is queued except in the
//! kernel's buffer, so a camera that exceeds its budget loses packets.

use rustix::net;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket as StdSocket};
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
/// Number of packets from other addresses before the first of the camera's that make up its
/// stream.
const STRANGERS: u32 = 100;
/// Interval of receiver reports, which some cameras need as keep-alive (RFC 3550, 6.2).
const REPORTS: Duration = Duration::from_secs(5);
/// The source identifier of this receiver. A session has only one.
const RECEIVER: u32 = 0x6F63_656C;

/// The two ports of one track, for RTP and RTCP.
pub struct Datagrams {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// The same sockets, to send without waiting.
    rtp_sender: StdSocket,
    rtcp_sender: StdSocket,
    /// The camera's address.
    camera: IpAddr,
    /// The address that the camera has named as the source of its packets.
    source: Option<IpAddr>,
    /// The last other address that packets came from, and their number before the first of the
    /// camera's.
    stranger: Option<IpAddr>,
    strangers: u32,
    /// Whether a packet of the camera has arrived.
    is_heard: bool,
    /// Whether the packets are sent to a group.
    is_group: bool,
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
        Self::new(rtp, rtcp, camera, false)
    }

    /// Joins a group, for packets from `camera`, at the interface of this machine's address
    /// `local`.
    ///
    /// # Errors
    /// The group can't be joined.
    pub fn join(local: IpAddr, camera: IpAddr, group: Ipv4Addr, port: u16) -> io::Result<Self> {
        let IpAddr::V4(interface) = local.to_canonical() else {
            return Err(io::Error::other("it is an IPv4 group of an IPv6 camera"));
        };
        let kind = net::SocketType::DGRAM;
        let rtp = net::socket(net::AddressFamily::INET, kind, None)?;
        // Other programs on this machine may play the same group.
        net::sockopt::set_socket_reuseaddr(&rtp, true)?;
        net::bind(&rtp, &SocketAddrV4::new(group, port))?;
        net::sockopt::set_ip_add_membership(&rtp, &group, &interface)?;
        let rtcp = StdSocket::bind((local, 0))?;
        Self::new(rtp.into(), rtcp, camera, true)
    }

    fn new(rtp: StdSocket, rtcp: StdSocket, camera: IpAddr, is_group: bool) -> io::Result<Self> {
        let _ = net::sockopt::set_socket_recv_buffer_size(&rtp, RECEIVE_BUFFER);
        for socket in [&rtp, &rtcp] {
            socket.set_nonblocking(true)?;
        }
        Ok(Self {
            rtp_sender: rtp.try_clone()?,
            rtcp_sender: rtcp.try_clone()?,
            rtp: UdpSocket::from_std(rtp)?,
            rtcp: UdpSocket::from_std(rtcp)?,
            camera: camera.to_canonical(),
            source: None,
            stranger: None,
            strangers: 0,
            is_heard: false,
            is_group,
            target: None,
            buffer: vec![0; MAX_PACKET].into(),
            reported: Instant::now(),
        })
    }

    /// Returns true if the packets are sent to a group.
    pub fn is_group(&self) -> bool {
        self.is_group
    }

    /// Accepts packets from this address too.
    pub fn accept(&mut self, source: Option<IpAddr>) {
        self.source = source.filter(|source| *source != self.camera);
    }

    /// Returns the last address whose packets were not accepted.
    pub fn stranger(&self) -> Option<IpAddr> {
        self.stranger
    }

    /// Returns that address if so many packets came from there, and none from the camera, that
    /// they are the camera's.
    pub fn foreign_camera(&self) -> Option<IpAddr> {
        self.stranger.filter(|_| self.strangers >= STRANGERS)
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
        self.send(&self.rtp_sender, ports.0, &packet);
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
        self.send(&self.rtcp_sender, port, &packet);
    }

    /// Sends a packet. Its loss does not matter.
    fn send(&self, socket: &StdSocket, port: u16, packet: &[u8]) {
        for address in [Some(self.camera), self.source].into_iter().flatten() {
            let _ = socket.send_to(packet, SocketAddr::new(address, port));
        }
    }

    /// Receives a packet. Returns its length, or `None` if it is from another address.
    ///
    /// # Errors
    /// The socket fails.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<usize>>> {
        let mut room = ReadBuf::new(&mut self.buffer);
        match ready!(self.rtp.poll_recv_from(cx, &mut room)) {
            Ok(from) => {
                let from = from.ip().to_canonical();
                let is_camera = from == self.camera || self.source == Some(from);
                self.is_heard |= is_camera;
                if !is_camera {
                    self.stranger = Some(from);
                    self.strangers += u32::from(!self.is_heard && self.strangers < STRANGERS);
                }
                Poll::Ready(Ok(is_camera.then_some(room.filled().len())))
            }
            // The camera's answer to an unwanted packet.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Poll::Ready(Ok(None)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Receives a report. Returns its length, or `None` if it is not from the camera or there was
    /// an error: reports are not necessary.
    pub fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let mut room = ReadBuf::new(&mut self.buffer);
        let from = ready!(self.rtcp.poll_recv_from(cx, &mut room));
        let from = from.map(|from| from.ip().to_canonical()).ok();
        let is_camera = from.is_some_and(|from| from == self.camera || self.source == Some(from));
        Poll::Ready(is_camera.then_some(room.filled().len()))
    }

    /// Returns the last packet's bytes.
    pub fn bytes(&self, len: usize) -> &[u8] {
        &self.buffer[..len]
    }
}

/// Returns the reason if the packets come from this address.
pub fn foreign_packets(from: IpAddr) -> String {
    format!("it accepts playback over UDP, but packets arrive from {from}, not from the camera")
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
