//! Permission to watch: without credentials, by a session, or by a token. A stream ends with
//! the credential that opened it.

use super::{ADMIN, Browser, admin, private_hub, token};
use crate::support::http::{get, request};
use crate::support::site::{TestSource, services};
use crate::support::tempdir::Dir;
use crate::support::wall::{WALL, Wall};
use ocelli::auth::{AdminToken, PlayToken};
use ocelli::server;
use ocelli::store::{Store, incarnation, sessions, walls};
use ocelli::visitor::Identity;
use ocelli_core::{App, Camera, Clock, Hub, Renditions, Timestamp};
use ocelli_net::origin_policy::OriginPolicy;
use ocelli_net::server_state::ServerState;
use ocelli_testkit::websocket::RawSocket;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;

/// Returns the cameras that a wall lists in its `hello`.
async fn hello(wall: &mut Wall) -> Vec<String> {
    let hello = wall.event("hello").await;
    let cameras = hello["cameras"].as_array().expect("a list").iter();
    cameras
        .map(|camera| camera["id"].as_str().expect("an id").to_owned())
        .collect()
}

async fn play_token(hub: &ocelli_testkit::Hub, place: &str) -> String {
    let (app, room) = place.split_once('/').expect("a place");
    let line = format!("GET /api/v1/apps/{app}/play-token/{room}");
    let made = admin(hub, &line, "").await.json();
    made["data"]["token"].as_str().expect("a token").to_owned()
}

async fn wall_link(hub: &ocelli_testkit::Hub, cameras: &[&str]) -> (String, String) {
    let body = json!({ "name": "w", "cameras": cameras }).to_string();
    let made = admin(hub, "POST /api/v1/walls", &body).await.json()["data"].clone();
    let text = |field: &str| made[field].as_str().expect("a string").to_owned();
    (text("id"), text("token"))
}

/// The paths at which a camera of app `yard` plays.
const PLACES: [&str; 3] = [
    "/live/yard/gate/frame.jpg",
    "/live/yard/gate/mjpeg",
    "/play/yard/gate",
];

/// Returns the status of a GET whose body may never end.
async fn status(address: SocketAddr, path: &str, lines: &[String]) -> u16 {
    let mut socket = RawSocket::connect(address).await;
    let mut text = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n");
    for line in lines {
        text.push_str(&format!("{line}\r\n"));
    }
    socket.send_raw(format!("{text}\r\n").as_bytes()).await;
    socket.head().await.expect("an answer").status
}

#[tokio::test]
async fn a_private_camera_plays_only_for_authorized_clients() {
    let (hub, _dir) = private_hub();
    let at = hub.addr();
    let viewer = |app: &str| json!([{ "app": app, "role": "viewer" }]);
    let (inside, _) = Browser::user(&hub, "inside", viewer("yard")).await;
    let (outside, _) = Browser::user(&hub, "outside", viewer("live")).await;
    let permissions = json!(["camera:read"]);
    let reader =
        json!({ "name": "r", "scope": "app", "appId": "yard", "permissions": permissions });
    let reader = token(&hub, reader).await;
    let lister =
        json!({ "name": "l", "scope": "app", "appId": "yard", "permissions": ["app:read"] });
    let lister = token(&hub, lister).await;
    let play = play_token(&hub, "yard/gate").await;
    let other_play = play_token(&hub, "live/cam1").await;
    let (_, wall) = wall_link(&hub, &["yard/gate"]).await;
    let (_, other_wall) = wall_link(&hub, &["cam1"]).await;
    let bearer = |token: &str| vec![format!("Authorization: Bearer {token}")];
    let in_address = |token: &str| format!("?token={token}");
    let none = String::new;
    let cases = [
        ("nothing", none(), vec![], 401),
        (
            "basic",
            none(),
            vec!["Authorization: Basic YTpi".into()],
            401,
        ),
        ("a viewer", none(), inside.lines(), 200),
        ("another app's viewer", none(), outside.lines(), 401),
        ("the administrator", none(), bearer(ADMIN), 200),
        ("a reader", none(), bearer(&reader), 200),
        ("a token that may only list", none(), bearer(&lister), 401),
        ("a play token", in_address(&play), vec![], 200),
        ("a play token in a header", none(), bearer(&play), 200),
        ("another camera's", in_address(&other_play), vec![], 401),
        ("a wall link", in_address(&wall), vec![], 200),
        ("another wall link", in_address(&other_wall), vec![], 401),
        (
            "an sk_ token in an address",
            in_address(&reader),
            vec![],
            401,
        ),
        ("two tokens", in_address(&play), bearer(&reader), 401),
    ];
    for (who, query, lines, wanted) in cases {
        for place in PLACES {
            let found = status(at, &format!("{place}{query}"), &lines).await;
            assert_eq!(found, wanted, "{who}: {place}");
        }
        let line = if query.is_empty() { "?" } else { "&" };
        let path = format!(
            "/live/ws?app=yard&room=gate{}",
            query.replace('?', line).trim_end_matches('?')
        );
        let mut viewer = Wall::with(at, &path, None, &lines).await;
        if wanted == 200 {
            let first = viewer.next(crate::support::TIMEOUT).await;
            assert!(
                first.is_some_and(|first| first.is_ok_and(|first| first.is_binary())),
                "{who}"
            );
        } else {
            assert_eq!(viewer.close_code().await, Some(4401), "{who}");
        }
    }
    // An invalid token is an error even where the camera is public.
    for path in [
        "/live/live/cam1/frame.jpg?token=pt_no",
        "/api/v1/cameras?token=wall_no",
    ] {
        get(at, path).await.is_problem(401, "token");
    }
    // A wall link is limited to its cameras, even where others are public.
    let elsewhere = format!("/live/live/cam1/frame.jpg?token={wall}");
    get(at, &elsewhere)
        .await
        .is_problem(401, "opens only its cameras");
    let mut refused = Wall::open(at, &format!("/ws/series?token={wall}"), None).await;
    let message = refused.next(crate::support::TIMEOUT).await;
    assert!(
        format!("{message:?}").contains("opens only its cameras"),
        "{message:?}"
    );
    let mut refused = Wall::open(at, "/ws/cameras?token=pt_no", None).await;
    assert_eq!(refused.close_code().await, Some(4401));
    // An invalid cookie does not affect the request.
    let stale = ["Cookie: ocelli_00000000=ses_1.2".to_owned()];
    assert_eq!(status(at, "/live/live/cam1/frame.jpg", &stale).await, 200);
    assert_eq!(status(at, "/live/yard/none/frame.jpg", &[]).await, 401);
    assert_eq!(
        status(at, "/live/yard/none/frame.jpg", &inside.lines()).await,
        404
    );
}

#[tokio::test]
async fn a_browser_at_a_private_camera_is_redirected_to_the_sign_in_page() {
    let (hub, _dir) = private_hub();
    let browser = ["Accept: text/html,application/xhtml+xml,*/*;q=0.8"];
    let page = request(hub.addr(), "GET", "/play/yard/gate", &browser).await;
    assert_eq!(page.status(), 401, "{page:?}");
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(
        page.body
            .contains("url=/sign-in?back=%2Fplay%2Fyard%2Fgate\"")
    );
    // A program gets the reason, and so does a browser with an invalid token, as a page.
    let program = request(hub.addr(), "GET", "/play/yard/gate", &[]).await;
    program.is_problem(401, "not public");
    let lapsed = "/play/yard/gate?token=pt_none";
    let page = request(hub.addr(), "GET", lapsed, &browser).await;
    assert_eq!(page.status(), 401, "{page:?}");
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.body.contains("This link does not work"), "{page:?}");
    let program = request(hub.addr(), "GET", lapsed, &[]).await;
    program.is_problem(401, "play token");
}

#[tokio::test]
async fn a_wall_shows_each_visitor_the_cameras_they_may_see() {
    let (hub, _dir) = private_hub();
    let at = hub.addr();
    let (bob, _) = Browser::user(&hub, "bob", json!([{ "app": "yard", "role": "viewer" }])).await;
    let open = async |path: &str, lines: &[String]| {
        let mut wall = Wall::with(at, path, Some("ocelli.v2"), lines).await;
        let mut seen = hello(&mut wall).await;
        seen.sort();
        (wall, seen)
    };
    let (mut anybodys, seen) = open(WALL, &[]).await;
    assert_eq!(seen, ["cam1"]);
    anybodys.subscribe(&["yard/gate"]).await;
    let error = anybodys.event("error").await;
    assert_eq!(error["code"], "unknown_camera");
    anybodys.subscribe(&["*"]).await;
    for _ in 0..5 {
        assert_eq!(anybodys.frame_v2().await.id, "cam1");
    }
    let (_, seen) = open(WALL, &bob.lines()).await;
    assert_eq!(seen, ["cam1", "yard/gate"]);
    let bearer = [format!("Authorization: Bearer {ADMIN}")];
    let (_, seen) = open(WALL, &bearer).await;
    assert_eq!(seen, ["cam1", "yard/gate"]);
    let play = play_token(&hub, "yard/gate").await;
    let (_, seen) = open(&format!("{WALL}?token={play}"), &[]).await;
    assert_eq!(
        seen,
        ["cam1", "yard/gate"],
        "a play token adds to the public cameras"
    );
    let (_, link) = wall_link(&hub, &["yard/gate"]).await;
    for lines in [vec![], bob.lines()] {
        let (mut wall, seen) = open(&format!("{WALL}?token={link}"), &lines).await;
        assert_eq!(seen, ["yard/gate"], "a wall link shows only its cameras");
        wall.subscribe(&["cam1"]).await;
        assert_eq!(wall.event("error").await["code"], "unknown_camera");
    }
    let listed = bob.get("/api/v1/cameras").await.json()["data"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    let listed = get(at, "/api/v1/cameras").await.json()["data"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn revoking_a_credential_ends_the_streams_it_opened() {
    let (hub, _dir) = private_hub();
    let at = hub.addr();
    let (bob, bob_id) =
        Browser::user(&hub, "bob", json!([{ "app": "yard", "role": "viewer" }])).await;
    let (wall_id, link) = wall_link(&hub, &["yard/gate"]).await;
    let secret = token(
        &hub,
        json!({ "name": "r", "scope": "app", "appId": "yard" }),
    )
    .await;
    let token_id = admin(&hub, "GET /api/v1/tokens", "").await.json()["data"][0]["id"].clone();
    let bearer = [format!("Authorization: Bearer {secret}")];

    let mut by_link = Wall::open(at, &format!("{WALL}?token={link}"), Some("ocelli.v2")).await;
    hello(&mut by_link).await;
    let mut by_token = Wall::with(at, WALL, Some("ocelli.v2"), &bearer).await;
    hello(&mut by_token).await;
    let mut by_session = Wall::with(at, WALL, Some("ocelli.v2"), &bob.lines()).await;
    hello(&mut by_session).await;
    by_session.subscribe(&["*"]).await;
    let mut viewer = Wall::with(at, "/live/ws?app=yard&room=gate", None, &bob.lines()).await;
    let mut mjpeg = RawSocket::connect(at).await;
    let request_text = format!(
        "GET /live/yard/gate/mjpeg HTTP/1.1\r\nHost: {at}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
        bob.cookie
    );
    mjpeg.send_raw(request_text.as_bytes()).await;
    let head = mjpeg.head().await.expect("a head");
    assert_eq!(head.status, 200);

    let revoke = async |line: String| {
        let revoked = admin(&hub, &line, "").await;
        assert_eq!(revoked.status(), 200, "{line}: {revoked:?}");
    };
    revoke(format!("DELETE /api/v1/walls/{wall_id}")).await;
    assert_eq!(by_link.close_code().await, Some(4401));
    let token_id = token_id.as_str().expect("an id");
    revoke(format!("DELETE /api/v1/tokens/{token_id}")).await;
    assert_eq!(by_token.close_code().await, Some(4401));

    // A change of role is enough to end them; the wall stays open with the public cameras.
    let roles = json!({ "roles": [{ "app": "live", "role": "viewer" }] }).to_string();
    let changed = admin(&hub, &format!("PATCH /api/v1/users/{bob_id}"), &roles).await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    assert_eq!(by_session.event("gone").await["id"], "yard/gate");
    assert_eq!(viewer.close_code().await, Some(4401));
    assert!(mjpeg.body(&head).await.ends_with("\r\n0\r\n\r\n"));
    let roles = roles.replace("live", "yard");
    admin(&hub, &format!("PATCH /api/v1/users/{bob_id}"), &roles).await;
    // Skip the event of the other camera, which went live meanwhile.
    while by_session.event("camera").await["camera"]["id"] != "yard/gate" {}
    let mut viewer = Wall::with(at, "/live/ws?app=yard&room=gate", None, &bob.lines()).await;
    let out = bob.call("DELETE /api/v1/session", Value::Null).await;
    assert_eq!(out.status(), 200);
    assert_eq!(by_session.event("gone").await["id"], "yard/gate");
    assert_eq!(viewer.close_code().await, Some(4401));
    by_session.settle().await;
}

#[tokio::test]
async fn a_link_is_limited_to_what_its_creator_may_still_share() {
    let (hub, _dir) = private_hub();
    let at = hub.addr();
    let operator =
        json!([{ "app": "yard", "role": "operator" }, { "app": "live", "role": "operator" }]);
    let (bob, bob_id) = Browser::user(&hub, "bob", operator).await;
    let body = json!({ "name": "w", "cameras": ["yard/gate", "cam1"] });
    let made = bob.call("POST /api/v1/walls", body).await;
    assert_eq!(made.status(), 201, "{made:?}");
    let link = made.json()["data"]["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let address = format!("{WALL}?token={link}");
    let mut wall = Wall::open(at, &address, Some("ocelli.v2")).await;
    assert_eq!(hello(&mut wall).await, ["cam1", "yard/gate"]);
    let given = async |roles: Value| {
        let roles = json!({ "roles": roles }).to_string();
        let changed = admin(&hub, &format!("PATCH /api/v1/users/{bob_id}"), &roles).await;
        assert_eq!(changed.status(), 200, "{changed:?}");
    };
    let still = json!({ "app": "live", "role": "operator" });
    given(json!([still, { "app": "yard", "role": "viewer" }])).await;
    assert_eq!(wall.event("gone").await["id"], "yard/gate");
    given(json!([{ "app": "live", "role": "viewer" }])).await;
    assert_eq!(wall.close_code().await, Some(4401));
    given(json!([{ "role": "operator" }])).await;
    let mut wall = Wall::open(at, &address, Some("ocelli.v2")).await;
    assert_eq!(hello(&mut wall).await, ["cam1", "yard/gate"]);
}

/// A clock that the test sets.
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl TestClock {
    fn pass(&self, ms: i64) {
        self.0.fetch_add(ms.unsigned_abs() * 1000, Ordering::SeqCst);
    }
}

/// Creates a hub whose clock the test sets, with private camera `yard/gate`.
async fn identity() -> (Arc<TestClock>, Arc<Identity>, Dir) {
    let clock = Arc::new(TestClock(AtomicU64::new(1_700_000_000_000_000)));
    let hub = Arc::new(Hub::new(clock.clone()));
    let mut yard = App::new("yard").unwrap();
    yard.public_playback = false;
    hub.put_app(yard);
    let id = hub.resolve("yard", "gate").unwrap();
    let main = hub.upstream(&id, Arc::<TestSource>::default(), Renditions::default());
    hub.add(Camera::new(id, "Gate".into(), "hand", main, None, false))
        .unwrap();
    let dir = Dir::new("clocked");
    let server_state = ServerState::new(OriginPolicy::new(&[], &[]), hub.budgets().clone());
    let mut identity = Identity::new(hub, Arc::new(server_state));
    identity.store = Store::open(&dir.0).unwrap();
    identity.admin = AdminToken::new(ADMIN).ok();
    (clock, Arc::new(identity), dir)
}

/// The same, served in this process.
async fn clocked() -> (Arc<TestClock>, Arc<Identity>, SocketAddr, Dir) {
    let (clock, identity, dir) = identity().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server::run(
        listener,
        services(identity.clone()),
        std::future::pending(),
    ));
    (clock, identity, address, dir)
}

async fn made(at: SocketAddr, line: &str, body: Value) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let made = super::call(at, line, ADMIN, &body).await;
    assert!(made.status() < 300, "{line}: {made:?}");
    made.json()["data"].clone()
}

#[tokio::test]
async fn links_and_sessions_expire() {
    let (clock, identity, at, _dir) = clocked().await;
    let play = made(
        at,
        "GET /api/v1/apps/yard/play-token/gate?ttl=60",
        Value::Null,
    )
    .await;
    let wall = json!({ "name": "w", "cameras": ["yard/gate"], "ttl": 120 });
    let wall = made(at, "POST /api/v1/walls", wall).await;
    let path = |link: &Value| format!("{WALL}?token={}", link["token"].as_str().unwrap());
    let mut by_play = Wall::open(at, &path(&play), Some("ocelli.v2")).await;
    assert_eq!(hello(&mut by_play).await, ["yard/gate"]);
    let mut by_wall = Wall::open(at, &path(&wall), Some("ocelli.v2")).await;
    assert_eq!(hello(&mut by_wall).await, ["yard/gate"]);
    clock.pass(60_000);
    identity.visitors.recheck();
    assert_eq!(by_play.close_code().await, Some(4401));
    by_wall.settle().await;
    get(at, &path(&play).replace(WALL, "/api/v1/cameras"))
        .await
        .is_problem(401, "expired");
    clock.pass(60_000);
    identity.visitors.recheck();
    assert_eq!(by_wall.close_code().await, Some(4401));
    get(at, &path(&wall).replace(WALL, "/api/v1/cameras"))
        .await
        .is_problem(401, "expired");
    let connection = ocelli::store::open(&_dir.0).unwrap().0;
    assert!(walls::all(&connection, identity.now()).unwrap().is_empty());

    // An unused code.
    let body = json!({ "name": "bob", "roles": [{ "role": "viewer" }] });
    let link = made(at, "POST /api/v1/users", body).await;
    let code = super::code_in(link["link"].as_str().unwrap());
    clock.pass(24 * 3_600_000 - 1);
    let set_up = async |code: &str| {
        let body = json!({ "code": code, "password": super::PASSWORD });
        super::send(at, "POST /api/v1/setup", &[], &body).await
    };
    clock.pass(1);
    set_up(&code).await.is_problem(401, "expired");
    let again = json!({ "resetPassword": true });
    let line = format!("PATCH /api/v1/users/{}", link["id"].as_str().unwrap());
    let link = made(at, &line, again).await;
    let code = super::code_in(link["link"].as_str().unwrap());
    let bob = Browser::of(at, &set_up(&code).await);

    // A session that is used stays valid up to a limit; an unused one ends.
    let mut days = 0;
    while bob.name().await == "bob" {
        assert!(days < 40);
        clock.pass(sessions::IDLE_TIMEOUT - 1);
        days += 7;
    }
    assert!((28..=36).contains(&days), "{days}");
    let again = Browser::sign_in(at, "bob", super::PASSWORD).await;
    let bob = Browser::of(at, &again);
    clock.pass(sessions::IDLE_TIMEOUT);
    assert_eq!(bob.name().await, Value::Null);

    // The printed link is valid for ten minutes.
    let mut connection = connection;
    let key = identity.store.key().unwrap().clone();
    let code = ocelli::catalog::create_admin_code(&mut connection, &key, identity.now()).unwrap();
    clock.pass(10 * 60_000);
    set_up(&code).await.is_problem(401, "expired");
    let forged = PlayToken::new(BTreeMap::from([("yard/gate".to_owned(), [0; 8])]), i64::MAX);
    let forged = forged.sign(&ocelli::auth::Key::random());
    let lines = [format!("Authorization: Bearer {forged}")];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let refused = request(at, "GET", "/live/yard/gate/frame.jpg", &lines).await;
    refused.is_problem(401, "not from this hub");
}

#[tokio::test(start_paused = true)]
async fn long_lived_connections_are_reauthorized_within_a_minute() {
    use ocelli::visitor::{Visitor, reauthorize_periodically};
    use ocelli_net::request::{Origin, Peer};
    let (clock, identity, _dir) = identity().await;
    let reauthorize_periodically = tokio::spawn(reauthorize_periodically(identity.clone()));
    let gate = identity.hub.find("yard", "gate").unwrap();
    let expires = identity.now() + 60_000;
    let id = gate.id().clone();
    let find = move |connection: &mut _| incarnation::of(connection, &id);
    let incarnation = identity.store.call(find).await.unwrap();
    let cameras = BTreeMap::from([(gate.id().as_str().to_owned(), incarnation)]);
    let token = PlayToken::new(cameras, expires);
    let token = token.sign(identity.store.key().unwrap());
    let request = http::Request::get(format!("/ws/cameras?token={token}")).body(());
    let (mut parts, ()) = request.unwrap().into_parts();
    let address = "127.0.0.1:9".parse().unwrap();
    let peer = Peer {
        remote: address,
        local: address,
        secure: false,
        authority: None,
        origin: Origin::Absent,
    };
    parts.extensions.insert(peer);
    let visitor = Visitor::of(&identity, &parts).await.unwrap();
    identity.visitors.track(&visitor);
    assert!(visitor.may_watch(gate.id()));
    // A running blocking task stops the runtime's clock, which would otherwise advance while
    // the test waits for the store's thread.
    let (done, held) = std::sync::mpsc::channel::<()>();
    let holding = tokio::task::spawn_blocking(move || held.recv());
    clock.pass(60_000);
    for _ in 0..3 {
        tokio::time::advance(std::time::Duration::from_secs(20)).await;
        // Each round queries the store, which answers in turn; then the result is applied.
        for _ in 0..2 {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            identity.store.call(|_| Ok(())).await.unwrap();
        }
    }
    let lapsed = visitor.has_lapsed();
    drop(done);
    let _ = holding.await.unwrap();
    reauthorize_periodically.abort();
    assert!(lapsed && !visitor.may_watch(gate.id()));
}
