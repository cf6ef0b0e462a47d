//! TLS to the database: certificates are verified by the machine's trust, or by a file's.

use crate::store::StoreError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;
use std::path::Path;

/// The client's side of TLS.
pub(super) fn config(ca_file: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let Some(path) = ca_file else {
        return ClientConfig::with_platform_verifier()
            .map_err(|error| StoreError::Unavailable(format!("the machine's certificates cannot be used: {error}")));
    };
    let wrong = |error: &dyn std::fmt::Display| {
        StoreError::Unavailable(format!("store.ca_file {} cannot be used: {error}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"it holds no certificate"));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
