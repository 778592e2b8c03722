//! Sends frames to one viewer: each the newest when the viewer is ready for it.
//!
//! A [`Delivery`] says where the next frame comes from and what else may happen; the
//! [`FrameSender`] has all that depends on the socket: the form of its messages, the direct
//! write while the viewer waits, and the order in which things are looked at.

use super::{CLOSE_TIMEOUT, Incoming, Socket};
use crate::counts::{Transport, Viewing};
use crate::front::Front;
use crate::wake_flag::WakeFlag;
use bytes::Bytes;
use ocelli_core::{Form, Frame, Ready};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_websockets::Message;

/// What a viewer is sent next.
pub enum Next {
    /// A frame, which is a message in the sender's form.
    Frame(Frame),
    /// A message made for this viewer alone.
    Message(Bytes),
    /// A frame of this many bytes was taken. Its messages come next.
    Taken(usize),
    /// No more: the socket closes with a code and a reason of at most 123 bytes.
    End(u16, &'static str),
}

/// What one viewer is sent, and what else may happen while it is.
///
/// A method that is given the socket is called while the socket is idle. It may begin to
/// send one message, or to close.
pub trait Delivery {
    /// What the viewer waits on for the next frame.
    fn ready(&self) -> &Ready;

    /// The longest message that a publisher may write directly while the viewer waits; none
    /// where each message is made for this viewer.
    fn longest_direct(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    /// A text that goes before anything is read.
    fn next_text(&mut self) -> Option<String> {
        None
    }

    /// What is sent next; polled only while the socket is idle.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next>;

    /// Handles one rare event, and is ready if there was one. Polled until it is pending,
    /// and then not before the waker of `cx` was used.
    fn poll_rare(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<()>;

    /// Handles a text that the viewer sent.
    fn text(&mut self, text: String, socket: &mut Socket);

    /// Handles a binary message that the viewer sent.
    fn binary(&mut self, socket: &mut Socket) {
        socket.close(1003, "a viewer sends no binary messages");
    }
}

/// What interrupts the sending of frames.
enum Interruption {
    /// It was handled.
    Handled,
    /// The socket is of no more use.
    Closed,
    /// The hub or the delivery ends it.
    End(u16, &'static str),
}

/// One viewer's socket, to which frames are sent.
///
/// It is fast for three reasons. Nothing returns to the runtime between a frame and the
/// next. Rare events are polled after their own waker fired ([`WakeFlag`]), and not for each
/// frame. While there is nothing to do, the publisher of the next frame may write it directly.
pub struct FrameSender {
    socket: Socket,
    /// The form of all frames, whether the task or a publisher writes them.
    form: Form,
    /// Wakes for all that is not a frame.
    wake_flag: WakeFlag,
    viewing: Viewing,
    stopping: CancellationToken,
}

impl FrameSender {
    /// A viewer that comes this way, and is counted while it stays.
    pub fn new(socket: Socket, form: Form, front: &Front, transport: Transport) -> Self {
        Self {
            socket,
            form,
            wake_flag: WakeFlag::default(),
            viewing: front.counts.enter(transport),
            stopping: front.stopping.clone(),
        }
    }

    /// Sends what `delivery` gives until the viewer is gone, the delivery ends or the hub
    /// stops.
    pub async fn run(mut self, delivery: &mut impl Delivery) {
        let stopping = self.stopping.clone();
        let mut stopped = pin!(stopping.cancelled());
        loop {
            match poll_fn(|cx| self.poll(delivery, stopped.as_mut(), cx)).await {
                Interruption::Handled => {}
                Interruption::Closed => return,
                Interruption::End(code, reason) => {
                    self.socket.close(code, reason);
                    return self.socket.finish(CLOSE_TIMEOUT).await;
                }
            }
        }
    }

    /// Sends frames until there is something else to do.
    ///
    /// While a message is being written, the rest of it goes first. Then the delivery's own
    /// texts, which bounds them, because nothing is read before they are sent; then messages
    /// of the viewer and rare events; then frames. Only a frame that is published while the
    /// task is already woken for something else may overtake it.
    fn poll(
        &mut self,
        delivery: &mut impl Delivery,
        stopped: Pin<&mut WaitForCancellationFuture<'_>>,
        cx: &mut Context<'_>,
    ) -> Poll<Interruption> {
        self.socket.stop_direct_write(delivery.ready(), self.form);
        self.wake_flag.observe(cx);
        // First, because cameras end with the hub, and the viewer is told the cause.
        if let Some(wake_flag) = self.wake_flag.fired()
            && stopped
                .poll(&mut Context::from_waker(&wake_flag))
                .is_ready()
        {
            return Poll::Ready(Interruption::End(1001, "the hub stops"));
        }
        loop {
            if ready!(self.socket.poll_written(cx)).is_err() {
                return Poll::Ready(Interruption::Closed);
            }
            if self.socket.is_idle()
                && let Some(text) = delivery.next_text()
            {
                self.socket.send(Message::text(text));
                continue;
            }
            if let Some(wake_flag) = self.wake_flag.fired() {
                let rare = &mut Context::from_waker(&wake_flag);
                if let Poll::Ready(interruption) = self.poll_rare(delivery, rare) {
                    return Poll::Ready(interruption);
                }
                // While a message is being written not all of it was polled.
                if self.socket.is_idle() {
                    self.wake_flag.clear();
                }
            }
            if !self.socket.is_idle() {
                return Poll::Pending;
            }
            let Poll::Ready(next) = delivery.poll_next(cx) else {
                if let Some(longest) = delivery.longest_direct() {
                    let (ready, tally) = (delivery.ready(), self.viewing.tally());
                    self.socket
                        .start_direct_write(ready, self.form, longest, tally);
                }
                return Poll::Pending;
            };
            match next {
                Next::Frame(frame) => {
                    self.viewing.tally().sent(frame.payload_len());
                    self.socket.send_binary(frame.into_message(self.form));
                }
                Next::Message(message) => self.socket.send_binary(message),
                Next::Taken(len) => self.viewing.tally().sent(len),
                Next::End(code, reason) => {
                    return Poll::Ready(Interruption::End(code, reason));
                }
            }
        }
    }

    /// Polls all that is not a frame.
    fn poll_rare(
        &mut self,
        delivery: &mut impl Delivery,
        cx: &mut Context<'_>,
    ) -> Poll<Interruption> {
        if let Poll::Ready(incoming) = self.socket.poll(cx) {
            match incoming {
                Incoming::Closed => return Poll::Ready(Interruption::Closed),
                Incoming::Text(text) => delivery.text(text, &mut self.socket),
                Incoming::Binary(_) | Incoming::TooLong => delivery.binary(&mut self.socket),
            }
            return Poll::Ready(Interruption::Handled);
        }
        if !self.socket.is_idle() {
            return Poll::Pending;
        }
        delivery
            .poll_rare(&mut self.socket, cx)
            .map(|()| Interruption::Handled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Connection;
    use crate::origin_policy::OriginPolicy;
    use crate::websocket::Reading;
    use futures_util::{SinkExt, StreamExt};
    use ocelli_core::{Budgets, Clock, Follower, FrameBuffer, PeerKind, Picture, Slot, Timestamp};
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message as Received;
    use tokio_tungstenite::tungstenite::protocol::Role;

    /// Gives what it is told, one message for each time that it is raised.
    #[derive(Default)]
    struct Told {
        ready: Arc<Ready>,
        texts: VecDeque<String>,
        end: bool,
        sent: Arc<AtomicUsize>,
        rare: Arc<AtomicUsize>,
    }

    impl Delivery for Told {
        fn ready(&self) -> &Ready {
            &self.ready
        }

        fn next_text(&mut self) -> Option<String> {
            self.texts.pop_front()
        }

        fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
            if self.end {
                return Poll::Ready(Next::End(1000, "the camera is gone"));
            }
            ready!(self.ready.poll_next(cx));
            self.sent.fetch_add(1, SeqCst);
            Poll::Ready(Next::Message(Bytes::from_static(b"frame")))
        }

        fn poll_rare(&mut self, _: &mut Socket, _: &mut Context<'_>) -> Poll<()> {
            self.rare.fetch_add(1, SeqCst);
            Poll::Pending
        }

        fn text(&mut self, text: String, _: &mut Socket) {
            self.texts.push_back(text);
        }
    }

    /// With a clock that stands still no publisher has written for too long.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp(1)
        }
    }

    /// Gives the frames of one stream, and counts those that the task took.
    struct Followed {
        follower: Follower,
        taken: Arc<AtomicUsize>,
    }

    impl Delivery for Followed {
        fn ready(&self) -> &Ready {
            self.follower.ready()
        }

        fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
            let frame = ready!(self.follower.poll_next(cx));
            self.taken.fetch_add(1, SeqCst);
            Poll::Ready(Next::Frame(frame))
        }

        fn poll_rare(&mut self, _: &mut Socket, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }

        fn text(&mut self, _: String, _: &mut Socket) {}
    }

    async fn serve<D: Delivery + Send + 'static>(
        front: &Front,
        form: Form,
        mut delivery: D,
    ) -> (WebSocketStream<TcpStream>, JoinHandle<D>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let client = TcpStream::connect(address).await.expect("a connection");
        let (stream, _) = listener.accept().await.expect("a connection");
        let budget = front.budgets.budget(PeerKind::Connection);
        let (connection, _) = Connection::new(stream, budget).expect("a peer");
        let socket = Socket::over(connection, Reading::VIEWER, &front.budgets);
        let sender = FrameSender::new(socket, form, front, Transport::Wall);
        let served = tokio::spawn(async move {
            sender.run(&mut delivery).await;
            delivery
        });
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        (client, served)
    }

    fn front() -> Front {
        Front::new(OriginPolicy::default(), Budgets::default())
    }

    async fn next(client: &mut WebSocketStream<TcpStream>) -> Received {
        client.next().await.expect("a message").expect("whole")
    }

    fn code(message: Received) -> u16 {
        let Received::Close(Some(frame)) = message else {
            panic!("{message:?}");
        };
        frame.code.into()
    }

    #[tokio::test]
    async fn a_viewer_is_told_that_the_hub_stops_before_its_cameras_end() {
        let front = front();
        for (stops, expected) in [(false, 1000), (true, 1001)] {
            if stops {
                front.stopping.cancel();
            }
            let told = Told {
                end: true,
                ..Told::default()
            };
            let (mut client, served) = serve(&front, Form::Bare, told).await;
            assert_eq!(code(next(&mut client).await), expected);
            drop(client);
            served.await.expect("served");
            assert_eq!(front.counts.reading(Transport::Wall).viewers, 0);
        }
    }

    #[tokio::test]
    async fn texts_go_before_frames() {
        let front = front();
        let told = Told::default();
        told.ready.enqueue(0);
        let told = Told {
            texts: ["one".to_owned(), "two".to_owned()].into(),
            ..told
        };
        let (mut client, _served) = serve(&front, Form::Bare, told).await;
        assert_eq!(next(&mut client).await, Received::text("one"));
        assert_eq!(next(&mut client).await, Received::text("two"));
        assert_eq!(next(&mut client).await, Received::binary(&b"frame"[..]));
        client.send(Received::text("three")).await.expect("sent");
        assert_eq!(next(&mut client).await, Received::text("three"));
    }

    #[tokio::test]
    async fn a_binary_message_closes_the_socket() {
        let (mut client, served) = serve(&front(), Form::Bare, Told::default()).await;
        client.send(Received::binary(&b""[..])).await.expect("sent");
        assert_eq!(code(next(&mut client).await), 1003);
        drop(client);
        served.await.expect("served");
    }

    #[tokio::test]
    async fn rare_events_are_not_polled_for_each_frame() {
        let told = Told::default();
        let ready = told.ready.clone();
        let (sent, rare) = (told.sent.clone(), told.rare.clone());
        let (mut client, _served) = serve(&front(), Form::Bare, told).await;
        for _ in 0..100 {
            ready.enqueue(0);
            assert_eq!(next(&mut client).await, Received::binary(&b"frame"[..]));
        }
        assert_eq!(sent.load(SeqCst), 100);
        let polled = rare.load(SeqCst);
        client.send(Received::text("heard")).await.expect("sent");
        assert_eq!(next(&mut client).await, Received::text("heard"));
        assert!(polled < 5, "{polled}");
        assert!(rare.load(SeqCst) > polled, "what comes rings the bell");
    }

    #[tokio::test]
    async fn a_frame_has_the_same_form_from_its_publisher_and_from_the_task() {
        let front = front();
        let slot = Arc::new(Slot::new("cam", Arc::new(Still)));
        let taken = Arc::<AtomicUsize>::default();
        let followed = Followed {
            follower: Follower::new(slot.clone(), None),
            taken: taken.clone(),
        };
        let (mut client, _served) = serve(&front, Form::Plain, followed).await;
        // The task takes the first. The publisher writes the second, and begins the third,
        // which is more than the kernel takes at once. The task ends it, and takes the
        // fourth, because the viewer is slow now.
        let sizes = [(100, 1), (100, 1), (8 << 20, 1), (100, 2)];
        for (at, (len, by_task)) in sizes.into_iter().enumerate() {
            // Until the task waits.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            let picture: Vec<_> = (0..len).map(|at| (at % 251) as u8).collect();
            slot.publish(Picture::jpeg(FrameBuffer::copy_from(&picture), None));
            let message = [b"\x03cam", picture.as_slice()].concat();
            let received = next(&mut client).await;
            assert!(received.into_data() == message, "frame {at}");
            assert_eq!(taken.load(SeqCst), by_task, "frame {at}");
        }
        assert_eq!(front.counts.reading(Transport::Wall).frames, 4);
    }
}
