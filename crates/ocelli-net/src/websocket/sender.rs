//! Sends frames to one viewer: always the newest frame when the viewer is ready.
//!
//! A [`Delivery`] provides the frames and handles events. The [`FrameSender`] contains everything
//! that depends on the socket: the message form, direct writes while the viewer waits, and the
//! polling order.

use super::{CLOSE_TIMEOUT, Incoming, Socket};
use crate::counts::{Transport, ViewerGuard};
use crate::server_state::ServerState;
use crate::wake_flag::WakeFlag;
use bytes::Bytes;
use ocelli_core::{Form, Frame, Ready};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_websockets::Message;

/// The next thing to send to a viewer.
pub enum Next {
    /// A frame, sent as a message in the sender's form.
    Frame(Frame),
    /// A message made only for this viewer.
    Message(Bytes),
    /// A frame of this many bytes was taken. Its messages follow.
    Taken(usize),
    /// The end: the socket closes with a code and a reason of at most 123 bytes.
    End(u16, &'static str),
}

/// Provides the frames and texts for one viewer, and handles its messages and rare events.
///
/// Methods with a socket argument are called while the socket is idle. They may begin to send one
/// message, or to close.
pub trait Delivery {
    /// Returns the readiness on which the viewer waits for the next frame.
    fn ready(&self) -> &Ready;

    /// Returns the longest message that a publisher may write directly while the viewer waits.
    /// `None` if each message is made for this viewer.
    fn longest_direct(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    /// Returns a text that is sent before anything is read.
    fn next_text(&mut self) -> Option<String> {
        None
    }

    /// Ready with the next thing to send. Polled only while the socket is idle.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next>;

    /// Handles one rare event. Ready if there was one. Polled until it is pending, and then again
    /// only after the waker of `cx` has fired.
    fn poll_rare(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<()>;

    /// Handles a text that the viewer sent.
    fn text(&mut self, text: String, socket: &mut Socket);

    /// Handles a binary message that the viewer sent.
    fn binary(&mut self, socket: &mut Socket) {
        socket.close(1003, "a viewer must not send binary messages");
    }
}

/// An interruption of sending frames.
enum Interruption {
    /// It was handled.
    Handled,
    /// The socket is unusable.
    Closed,
    /// The hub or the delivery ends the socket.
    End(u16, &'static str),
}

/// Sends frames to one viewer's socket.
///
/// It is fast for three reasons. Nothing returns to the runtime between a frame and the
/// next. Rare events are polled after their own waker fired ([`WakeFlag`]), and not for each
/// frame. While there is nothing to do, the publisher of the next frame may write it directly.
pub struct FrameSender {
    socket: Socket,
    /// The form of all frames, whether the task or a publisher writes them.
    form: Form,
    /// Fires for everything except frames.
    wake_flag: WakeFlag,
    viewer_guard: ViewerGuard,
    stopping: CancellationToken,
}

impl FrameSender {
    /// Creates a sender for a viewer of this transport and counts the viewer.
    pub fn new(
        socket: Socket,
        form: Form,
        server_state: &ServerState,
        transport: Transport,
    ) -> Self {
        Self {
            socket,
            form,
            wake_flag: WakeFlag::default(),
            viewer_guard: server_state.counts.enter(transport),
            stopping: server_state.stopping.clone(),
        }
    }

    /// Sends the frames of `delivery` until the viewer disconnects, the delivery ends or the hub
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

    /// Sends frames until another event must be handled.
    ///
    /// The order is: the rest of a message that is being written; the delivery's texts, whose
    /// number is bounded because nothing is read before they are sent; messages of the viewer and
    /// rare events; frames. Only a frame that is published while the task is already woken for
    /// another event may overtake that event.
    fn poll(
        &mut self,
        delivery: &mut impl Delivery,
        stopped: Pin<&mut WaitForCancellationFuture<'_>>,
        cx: &mut Context<'_>,
    ) -> Poll<Interruption> {
        self.socket.stop_direct_write(delivery.ready(), self.form);
        self.wake_flag.observe(cx);
        // First, because cameras end when the hub stops, and the viewer must get the real cause.
        if let Some(wake_flag) = self.wake_flag.fired()
            && stopped
                .poll(&mut Context::from_waker(&wake_flag))
                .is_ready()
        {
            return Poll::Ready(Interruption::End(1001, "the hub is stopping"));
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
                // While a message is being written, not every event was polled.
                if self.socket.is_idle() {
                    self.wake_flag.clear();
                }
            }
            if !self.socket.is_idle() {
                return Poll::Pending;
            }
            let Poll::Ready(next) = delivery.poll_next(cx) else {
                if let Some(longest) = delivery.longest_direct() {
                    let (ready, tally) = (delivery.ready(), self.viewer_guard.tally());
                    self.socket
                        .start_direct_write(ready, self.form, longest, tally);
                }
                return Poll::Pending;
            };
            match next {
                Next::Frame(frame) => {
                    self.viewer_guard.tally().sent(frame.payload_len());
                    self.socket.send_binary(frame.into_message(self.form));
                }
                Next::Message(message) => self.socket.send_binary(message),
                Next::Taken(len) => self.viewer_guard.tally().sent(len),
                Next::End(code, reason) => {
                    return Poll::Ready(Interruption::End(code, reason));
                }
            }
        }
    }

    /// Polls everything except frames.
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
    use crate::websocket::ReadLimits;
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

    /// Provides the given texts, and one message each time it is enqueued.
    #[derive(Default)]
    struct Scripted {
        ready: Arc<Ready>,
        texts: VecDeque<String>,
        end: bool,
        sent: Arc<AtomicUsize>,
        rare: Arc<AtomicUsize>,
    }

    impl Delivery for Scripted {
        fn ready(&self) -> &Ready {
            &self.ready
        }

        fn next_text(&mut self) -> Option<String> {
            self.texts.pop_front()
        }

        fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
            if self.end {
                return Poll::Ready(Next::End(1000, "the camera was removed"));
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

    /// A clock that does not advance, so that no publisher exceeds its time for writing.
    struct StoppedClock;

    impl Clock for StoppedClock {
        fn now(&self) -> Timestamp {
            Timestamp(1)
        }
    }

    /// Provides the frames of one stream, and counts those that the task takes.
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
        server_state: &ServerState,
        form: Form,
        mut delivery: D,
    ) -> (WebSocketStream<TcpStream>, JoinHandle<D>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let client = TcpStream::connect(address).await.expect("a connection");
        let (stream, _) = listener.accept().await.expect("a connection");
        let budget = server_state.budgets.budget(PeerKind::Connection);
        let (connection, _) = Connection::new(stream, budget).expect("a peer");
        let socket = Socket::over(connection, ReadLimits::VIEWER, &server_state.budgets);
        let sender = FrameSender::new(socket, form, server_state, Transport::Wall);
        let served = tokio::spawn(async move {
            sender.run(&mut delivery).await;
            delivery
        });
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        (client, served)
    }

    fn server_state() -> ServerState {
        ServerState::new(OriginPolicy::default(), Budgets::default())
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
    async fn a_stopping_hub_takes_precedence_over_the_end_of_a_camera() {
        let server_state = server_state();
        for (stops, expected) in [(false, 1000), (true, 1001)] {
            if stops {
                server_state.stopping.cancel();
            }
            let delivery = Scripted {
                end: true,
                ..Scripted::default()
            };
            let (mut client, served) = serve(&server_state, Form::Bare, delivery).await;
            assert_eq!(code(next(&mut client).await), expected);
            drop(client);
            served.await.expect("served");
            assert_eq!(server_state.counts.snapshot(Transport::Wall).viewers, 0);
        }
    }

    #[tokio::test]
    async fn texts_are_sent_before_frames() {
        let server_state = server_state();
        let delivery = Scripted::default();
        delivery.ready.enqueue(0);
        let delivery = Scripted {
            texts: ["one".to_owned(), "two".to_owned()].into(),
            ..delivery
        };
        let (mut client, _served) = serve(&server_state, Form::Bare, delivery).await;
        assert_eq!(next(&mut client).await, Received::text("one"));
        assert_eq!(next(&mut client).await, Received::text("two"));
        assert_eq!(next(&mut client).await, Received::binary(&b"frame"[..]));
        client.send(Received::text("three")).await.expect("sent");
        assert_eq!(next(&mut client).await, Received::text("three"));
    }

    #[tokio::test]
    async fn a_binary_message_closes_the_socket() {
        let (mut client, served) = serve(&server_state(), Form::Bare, Scripted::default()).await;
        client.send(Received::binary(&b""[..])).await.expect("sent");
        assert_eq!(code(next(&mut client).await), 1003);
        drop(client);
        served.await.expect("served");
    }

    #[tokio::test]
    async fn rare_events_are_not_polled_for_each_frame() {
        let delivery = Scripted::default();
        let ready = delivery.ready.clone();
        let (sent, rare) = (delivery.sent.clone(), delivery.rare.clone());
        let (mut client, _served) = serve(&server_state(), Form::Bare, delivery).await;
        for _ in 0..100 {
            ready.enqueue(0);
            assert_eq!(next(&mut client).await, Received::binary(&b"frame"[..]));
        }
        assert_eq!(sent.load(SeqCst), 100);
        let polled = rare.load(SeqCst);
        client.send(Received::text("hello")).await.expect("sent");
        assert_eq!(next(&mut client).await, Received::text("hello"));
        assert!(polled < 5, "{polled}");
        assert!(rare.load(SeqCst) > polled, "a message fires the wake flag");
    }

    #[tokio::test]
    async fn a_direct_write_and_the_task_use_the_same_form() {
        let server_state = server_state();
        let slot = Arc::new(Slot::new("cam", Arc::new(StoppedClock)));
        let taken = Arc::<AtomicUsize>::default();
        let followed = Followed {
            follower: Follower::new(slot.clone(), None),
            taken: taken.clone(),
        };
        let (mut client, _served) = serve(&server_state, Form::Plain, followed).await;
        // The task writes the first frame. The publisher writes the second, and begins the third,
        // which is more than the kernel accepts at once. The task completes the third, and writes
        // the fourth, because the viewer now counts as slow.
        let sizes = [(100, 1), (100, 1), (8 << 20, 1), (100, 2)];
        for (at, (len, by_task)) in sizes.into_iter().enumerate() {
            // Let the task run until it waits.
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
        assert_eq!(server_state.counts.snapshot(Transport::Wall).frames, 4);
    }
}
