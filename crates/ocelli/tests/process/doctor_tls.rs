//! `ocelli doctor` and certificates: a valid one, and others with one fault each.

use crate::support::doctor::{DoctorOutput, doctor_with, request, right};
use crate::support::tempdir::Dir;
use ocelli_testkit::OpenSsl;
use ocelli_testkit::jpeg::Picture;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn authority_parameters() -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "An authority of a test");
    parameters
}

fn authority() -> Issuer {
    CertifiedIssuer::self_signed(authority_parameters(), key()).expect("an authority")
}

fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).expect("parameters");
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "A server of a test");
    parameters
}

struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

/// A certificate signed by `issuer`; the server sends only that certificate.
fn signed(parameters: &CertificateParams, issuer: &Issuer) -> Pair {
    let key = key();
    let certificate = parameters.signed_by(&key, issuer).expect("a certificate");
    Pair {
        chain: vec![certificate.der().clone()],
        key,
    }
}

/// A TLS server that is correct except for its certificate and its ALPN protocols.
fn server(pair: &Pair, alpn: &[&[u8]]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let key = PrivatePkcs8KeyDer::from(pair.key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("supported versions")
        .with_no_client_auth()
        .with_single_cert(pair.chain.clone(), key.into())
        .expect("a certificate and its key");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let config = Arc::new(config);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(session) = ServerConnection::new(config.clone()) else {
                return;
            };
            let mut stream = StreamOwned::new(session, stream);
            let Some(requested) = request(&mut stream) else {
                continue;
            };
            let response = if requested.contains("foreign") {
                b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec()
            } else if requested.contains("Upgrade:") {
                right(&requested).into_bytes()
            } else {
                picture()
            };
            let _ = stream.write_all(&response);
            let _ = stream.flush();
            converse(&mut stream);
        }
    });
    port
}

/// The response of a camera.
fn picture() -> Vec<u8> {
    let picture = Picture::QVGA.encode_now(1);
    let head = format!(
        "HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        picture.len()
    );
    [head.as_bytes(), &picture].concat()
}

/// Answers short masked pings and closes.
fn converse(stream: &mut (impl Read + Write)) {
    let mut head = [0; 6];
    while stream.read_exact(&mut head).is_ok() {
        let mut payload = vec![0; usize::from(head[1] & 0x7F)];
        if stream.read_exact(&mut payload).is_err() {
            return;
        }
        for (byte, mask) in payload.iter_mut().zip(head[2..].iter().cycle()) {
            *byte ^= mask;
        }
        let opcode = match head[0] & 15 {
            9 => 0x8A,
            other => 0x80 | other,
        };
        let _ = stream.write_all(&[&[opcode, payload.len() as u8], &payload[..]].concat());
        let _ = stream.flush();
        if opcode == 0x88 {
            return;
        }
    }
}

/// Runs the doctor on a machine that trusts one authority.
fn doctor_trusting(issuer: &Issuer, target: &str) -> DoctorOutput {
    let dir = Dir::new("doctor-tls");
    doctor_trusting_file(&dir.write("authority.pem", &issuer.pem()), target)
}

/// Runs the doctor on a machine that trusts the certificate in a file.
fn doctor_trusting_file(file: &Path, target: &str) -> DoctorOutput {
    let file = file.to_str().expect("a path");
    doctor_with(
        &[target],
        &[("SSL_CERT_FILE", file), ("SSL_CERT_DIR", "/nowhere")],
    )
}

/// Examines a server with a certificate for `names` of a trusted authority, after `change`.
fn examine(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> DoctorOutput {
    let issuer = authority();
    let mut parameters = leaf(names);
    change(&mut parameters);
    let port = server(&signed(&parameters, &issuer), &[b"http/1.1"]);
    doctor_trusting(&issuer, &format!("wss://localhost:{port}/"))
}

#[test]
fn a_valid_certificate_passes() {
    let output = examine(&["localhost"], |_| {});
    output.passes();
    assert!(output.finding("pass", "tls").contains("TLS 1.3"));
    assert!(output.finding("pass", "alpn").contains("HTTP/1.1"));
}

#[test]
fn a_self_signed_certificate_fails() {
    let key = key();
    let certificate = leaf(&["localhost"])
        .self_signed(&key)
        .expect("a certificate");
    let chain = vec![certificate.der().clone()];
    let port = server(&Pair { chain, key }, &[]);
    let output = doctor_trusting(&authority(), &format!("wss://localhost:{port}/"));
    output.fails("certificate", &["self-signed", "import"]);
    output.only(&["certificate"]);
    output.finding("pass", "accept");
}

#[test]
fn self_signed_and_expired_are_two_failures() {
    let key = key();
    let mut parameters = leaf(&["localhost"]);
    parameters.not_after = date_time_ymd(2021, 3, 4);
    let certificate = parameters.self_signed(&key).expect("a certificate");
    let chain = vec![certificate.der().clone()];
    let port = server(&Pair { chain, key }, &[]);
    let output = doctor_trusting(&authority(), &format!("wss://localhost:{port}/"));
    output.fails("certificate", &["self-signed"]);
    output.only(&["dates", "certificate"]);
    output.fails("dates", &["expired on 2021-03-04"]);
}

#[test]
fn an_expired_certificate_fails() {
    let output = examine(&["localhost"], |parameters| {
        parameters.not_after = date_time_ymd(2021, 3, 4);
    });
    output.fails("dates", &["expired on 2021-03-04", "Renew"]);
    output.only(&["dates"]);
}

#[test]
fn a_certificate_that_is_not_yet_valid_fails() {
    let output = examine(&["localhost"], |parameters| {
        parameters.not_before = date_time_ymd(2090, 1, 2);
        parameters.not_after = date_time_ymd(2091, 1, 2);
    });
    output.fails("dates", &["not valid before 2090-01-02", "clocks"]);
}

#[test]
fn a_certificate_for_another_name_fails() {
    let output = examine(&["cams.lan", "cams.local"], |_| {});
    output.fails(
        "tls name",
        &[
            "not for localhost",
            "expected: localhost",
            "received: cams.lan, cams.local",
        ],
    );
    output.only(&["tls name"]);
}

#[test]
fn a_missing_intermediate_is_named() {
    let root = authority();
    let mut parameters = authority_parameters();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "In between");
    let between =
        CertifiedIssuer::signed_by(parameters, key(), &root).expect("an intermediate certificate");
    let mut pair = signed(&leaf(&["localhost"]), &between);
    let port = server(&pair, &[]);
    let output = doctor_trusting(&root, &format!("wss://localhost:{port}/"));
    output.fails(
        "certificate",
        &["intermediate certificate is missing", "fullchain"],
    );

    pair.chain.push(between.der().clone());
    let port = server(&pair, &[]);
    doctor_trusting(&root, &format!("wss://localhost:{port}/")).passes();
}

#[test]
fn a_server_with_only_http_2_is_named() {
    let issuer = authority();
    let port = server(&signed(&leaf(&["localhost"]), &issuer), &[b"h2"]);
    let output = doctor_trusting(&issuer, &format!("wss://localhost:{port}/"));
    output.fails("tls", &["refuses HTTP/1.1", "in addition to h2"]);
}

#[test]
fn a_token_is_not_sent_to_an_untrusted_server() {
    let key = key();
    let certificate = leaf(&["localhost"])
        .self_signed(&key)
        .expect("a certificate");
    let chain = vec![certificate.der().clone()];
    let port = server(&Pair { chain, key }, &[]);
    let target = format!("wss://localhost:{port}/?token=hush-hush");
    let output = doctor_trusting(&authority(), &target);
    output.warns("stopped", &["may hold a secret", "not sent"]);
    output.only(&["certificate"]);
    assert!(!output.text.contains("101"), "{}", output.text);
    assert!(!output.all.contains("hush-hush"), "{}", output.all);
}

#[test]
fn plain_text_in_place_of_tls_is_named() {
    let address = crate::support::doctor::server(|request| right(request).into_bytes());
    let output = crate::support::doctor::doctor(&[&address.replace("ws://", "wss://")]);
    output.fails("tls", &["ws://"]);
}

#[test]
fn a_certificate_that_expires_soon_is_a_warning() {
    let output = examine(&["localhost"], |parameters| {
        parameters.not_after = SystemTime::now()
            .checked_add(WEEK)
            .expect("a valid date")
            .into();
    });
    output.warns("dates", &["expires on", "Renew it in time"]);
    assert_eq!(output.code, Some(0), "{}", output.all);
}

#[test]
fn servers_with_old_tls_or_a_required_client_certificate_are_named() {
    let version = "supports neither TLS 1.2 nor";
    let ciphers = "supports no key exchange and cipher that";
    for (arguments, server_words, camera_words) in [
        ("-tls1_1 -cipher ALL:@SECLEVEL=0", version, version),
        ("-tls1_2 -cipher AES128-SHA", ciphers, ciphers),
        (
            "-tls1_2 -Verify 1",
            "requires a certificate from its clients",
            "requires a client certificate",
        ),
        (
            "-tls1_3 -Verify 1",
            "requires a certificate from its clients",
            "requires a client certificate",
        ),
    ] {
        let server = OpenSsl::start(arguments);
        for (scheme, words) in [
            ("wss", server_words),
            ("https", server_words),
            ("rtsps", camera_words),
        ] {
            let target = format!("{scheme}://localhost:{}/", server.port());
            let output = doctor_trusting_file(&server.certificate(), &target);
            output.fails("tls", &[words]);
            output.only(&["tls"]);
        }
    }
}

#[test]
fn ffmpeg_refuses_an_expired_certificate_of_a_trusted_authority() {
    let issuer = authority();
    let examine = |parameters: CertificateParams| {
        let port = server(&signed(&parameters, &issuer), &[]);
        doctor_trusting(&issuer, &format!("ffmpeg:https://localhost:{port}/"))
    };
    let valid = leaf(&["localhost"]);
    let mut expired = valid.clone();
    expired.not_after = date_time_ymd(2021, 3, 4);
    let (valid, expired) = thread::scope(|scope| {
        let valid = scope.spawn(|| examine(valid));
        let expired = examine(expired);
        (valid.join(), expired)
    });
    valid.expect("an output").passes();
    let words = &["its certificate can't be verified: it has expired,"];
    expired.fails("pictures", words);
}
