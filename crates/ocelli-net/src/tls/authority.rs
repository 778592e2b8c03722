//! The hub's own certificate authority. It is created at the first start and stored in the data
//! directory. Its certificate is the only one that devices must trust.
//!
//! Only the authority's key is stored. The server certificate is issued at each start, with a key
//! that is never written to disk. A device that trusts the authority also trusts the next server
//! certificate.

use super::{TlsError, clock, expiry};
use ocelli_config::private::{self, Unusable};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// File of the authority's certificate in the data directory. It is public.
const CERTIFICATE_FILE: &str = "ca.pem";
/// File of the authority's key in the same directory. It is secret.
const KEY_FILE: &str = "ca.key";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Validity of a server certificate. Browsers accept at most 398 days, Apple devices 825 days from a
/// user-added authority.
const VALIDITY: Duration = Duration::from_secs(90 * 24 * 3600);
/// Age at which it is renewed: a month before its end.
const RENEWAL_AGE: Duration = Duration::from_secs(60 * 24 * 3600);
/// Validity of a certificate that is issued before this machine's clock is set: from the last time
/// known, and long enough for clients whose clocks are right.
const UNSET_VALIDITY: Duration = Duration::from_secs(820 * 24 * 3600);
/// Tolerance for device clocks that are behind.
const CLOCK_TOLERANCE: Duration = DAY;

/// The names and addresses of the hub in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Host names.
    pub names: BTreeSet<String>,
    /// Addresses.
    pub addresses: BTreeSet<IpAddr>,
}

impl Names {
    /// Adds the host of a URL: a name, or an IP address with or without brackets.
    pub fn add(&mut self, host: &str) {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => self.add_address(address),
            Err(_) => {
                self.names.insert(host.to_ascii_lowercase());
            }
        }
    }

    /// Adds an address, unless clients can't use it in a URL: unspecified and IPv6 link-local
    /// addresses are skipped.
    pub fn add_address(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        let reachable = match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        };
        if reachable && !address.is_unspecified() {
            self.addresses.insert(address);
        }
    }

    fn alternatives(&self) -> Vec<SanType> {
        let names = self.names.iter().filter_map(|name| {
            let alternative = name.as_str().try_into().ok().map(SanType::DnsName);
            if alternative.is_none() {
                tracing::warn!(
                    "{name:?} can't be used in a certificate; write it in ASCII (xn--…)"
                );
            }
            alternative
        });
        let addresses = self.addresses.iter().copied().map(SanType::IpAddress);
        names.chain(addresses).collect()
    }
}

/// A certificate that the authority has issued, and the time in which it is current.
pub(crate) struct Issued {
    /// The key, its certificate, and the authority's certificate.
    pub key: CertifiedKey,
    /// Outside of this range a new certificate must be issued: this one is old, or was issued with a
    /// wrong clock.
    pub current_during: std::ops::Range<SystemTime>,
}

/// The public part of the authority.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its certificate.
    pub der: CertificateDer<'static>,
    /// The certificate as PEM.
    pub pem: String,
    /// Its file.
    pub path: PathBuf,
}

impl Certificate {
    /// Reads the authority's certificate in a data directory. Returns `None` if it does not exist yet.
    ///
    /// # Errors
    /// The file can't be read, or does not contain a certificate.
    pub fn read(data: &Path) -> Result<Option<Self>, TlsError> {
        let path = data.join(CERTIFICATE_FILE);
        let pem = match std::fs::read_to_string(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TlsError::of_file(&path, error)),
        };
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
            TlsError::of_file(&path, format!("it is not a certificate: {error}"))
        })?;
        Ok(Some(Self { der, pem, path }))
    }

    /// Returns the last second of its validity.
    pub fn expiry(&self) -> Option<UnixTime> {
        expiry(&self.der)
    }
}

/// The hub's own certificate authority.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Opens the authority of a data directory, or creates it if it does not exist yet.
    ///
    /// # Errors
    /// A file can't be read or written, or certificate and key do not match.
    pub fn open_or_create(data: &Path, now: SystemTime) -> Result<Self, TlsError> {
        let fault = |error: Unusable| TlsError::new(error.to_string());
        private::create_directory(data).map_err(fault)?;
        let _held = private::lock_directory(data).map_err(fault)?;
        let (certificate, key_path) = (Certificate::read(data)?, data.join(KEY_FILE));
        let mut file = private::make_private(&key_path).map_err(fault)?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| TlsError::of_file(&key_path, error))?;
        let (certificate, key) = match (certificate, text.is_empty()) {
            (Some(certificate), false) => (Some(certificate), parse_key(&key_path, &text)?),
            (Some(certificate), true) => {
                return Err(TlsError::of_file(
                    &key_path,
                    format!(
                        "it is missing, and {} can't be used without it. Restore it, or remove \
                         both and have every device trust the new authority",
                        certificate.path.display()
                    ),
                ));
            }
            // An earlier start ended before it wrote the certificate.
            (None, false) => (None, parse_key(&key_path, &text)?),
            (None, true) => {
                let key = KeyPair::generate().map_err(|error| TlsError::new(error.to_string()))?;
                file.write_all(key.serialize_pem().as_bytes())
                    .and_then(|()| file.sync_all())
                    .map_err(|error| TlsError::of_file(&key_path, error))?;
                (None, key)
            }
        };
        let certificate = match certificate {
            Some(certificate) => certificate,
            None => create_certificate(data, &key)?,
        };
        let authority = Self {
            issuer: Issuer::new(parameters(&key), key),
            certificate,
        };
        authority.verify_key(now)?;
        Ok(authority)
    }

    /// Returns the authority's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Returns `now`, or, if the clock has not been set, the last time known.
    fn moment(&self, now: SystemTime) -> SystemTime {
        let data = self.certificate.path.parent();
        match clock::unset(now) {
            Some(_) => clock::known_past(data.unwrap_or(Path::new("."))),
            None => now,
        }
    }

    /// Issues a certificate for these names, valid from `now`. If the clock has not been set, the
    /// certificate is for clients whose clocks are, and current until this clock is set too.
    ///
    /// # Errors
    /// The certificate can't be created, which is a bug.
    pub(crate) fn issue(&self, names: &Names, now: SystemTime) -> Result<Issued, TlsError> {
        let fault = |error: rcgen::Error| TlsError::new(error.to_string());
        let moment = self.moment(now);
        let from = moment - CLOCK_TOLERANCE;
        let (until, current_during) = match clock::unset(now) {
            None => (moment + VALIDITY, from..moment + RENEWAL_AGE),
            Some(unset) => (moment + UNSET_VALIDITY, unset),
        };
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = names.alternatives();
        parameters.not_before = from.into();
        parameters.not_after = until.into();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters
            .distinguished_name
            .push(DnType::CommonName, "Ocelli");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(fault)?;
        let leaf = parameters.signed_by(&key, &self.issuer).map_err(fault)?;
        let chain = vec![leaf.der().clone(), self.certificate.der.clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key.into(), &provider)
            .map_err(|error| TlsError::new(error.to_string()))?;
        Ok(Issued {
            key,
            current_during,
        })
    }

    /// Checks that certificates signed with the key verify against the authority's certificate.
    fn verify_key(&self, now: SystemTime) -> Result<(), TlsError> {
        let fault = |fault: &dyn std::fmt::Display| {
            let path = &self.certificate.path;
            TlsError::of_file(
                path,
                format!(
                    "with the key beside it, it can't issue a valid certificate ({fault}). Restore \
                     the pair that belongs together, or remove both files and have every device \
                     trust the new authority"
                ),
            )
        };
        let issued = self.issue(&Names::default(), now)?;
        let moment = self.moment(now);
        let anchor =
            anchor_from_trusted_cert(&self.certificate.der).map_err(|error| fault(&error))?;
        let leaf = issued
            .key
            .cert
            .first()
            .ok_or_else(|| fault(&"it is empty"))?;
        let leaf = EndEntityCert::try_from(leaf).map_err(|error| fault(&error))?;
        let anchors = [anchor];
        let since = moment.duration_since(SystemTime::UNIX_EPOCH);
        let moment = UnixTime::since_unix_epoch(since.unwrap_or_default());
        let verified = leaf.verify_for_usage(
            aws_lc_rs::default_provider()
                .signature_verification_algorithms
                .all,
            &anchors,
            &[],
            moment,
            KeyUsage::server_auth(),
            None,
            None,
        );
        verified.map(drop).map_err(|error| fault(&error))
    }
}

fn parse_key(path: &Path, text: &str) -> Result<KeyPair, TlsError> {
    KeyPair::from_pem(text).map_err(|_| {
        TlsError::of_file(
            path,
            "it is not a private key. Restore the previous one, or remove it and ca.pem \
             and have every device trust the new authority",
        )
    })
}

/// Returns the parameters of the authority's certificate. They depend only on the key, so that the
/// issuer name can be derived again at each start.
fn parameters(key: &KeyPair) -> CertificateParams {
    let digest = blake3::hash(key.der_bytes());
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let name = format!("Ocelli hub {}", &digest.to_hex()[..8]);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Fixed dates, because small machines often start with a wrong clock.
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2049, 12, 31);
    parameters
}

fn create_certificate(data: &Path, key: &KeyPair) -> Result<Certificate, TlsError> {
    let made = parameters(key)
        .self_signed(key)
        .map_err(|error| TlsError::new(error.to_string()))?;
    let (path, pem) = (data.join(CERTIFICATE_FILE), made.pem());
    // Written atomically, because an existing file is trusted.
    let started = data.join("ca.pem.new");
    std::fs::write(&started, &pem)
        .and_then(|()| std::fs::rename(&started, &path))
        .map_err(|error| TlsError::of_file(&path, error))?;
    tracing::info!(path = %path.display(), "created a certificate authority for this hub");
    Ok(Certificate {
        der: made.der().clone(),
        pem,
        path,
    })
}
