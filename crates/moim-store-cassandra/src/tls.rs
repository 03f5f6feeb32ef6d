//! TLS to the nodes: whose certificates we believe, and the one we show.
//! Not here: when a session is made (`session`).

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::CassandraConfig;

/// What the files say; `None` where TLS is not asked for. Reads files, which are small; again at each try to connect, so that
/// a renewed certificate needs no restart.
///
/// # Errors
/// Says which file, and what is wrong with it.
pub(crate) fn client(config: &CassandraConfig) -> Result<Option<Arc<ClientConfig>>, String> {
    if config.tls_ca_file.as_os_str().is_empty() {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    for authority in certificates("tls_ca_file", &config.tls_ca_file)? {
        roots.add(authority).map_err(|error| fault("tls_ca_file", &config.tls_ca_file, &error))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    if config.tls_cert_file.as_os_str().is_empty() {
        return Ok(Some(Arc::new(builder.with_no_client_auth())));
    }
    let own = certificates("tls_cert_file", &config.tls_cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.tls_key_file)
        .map_err(|error| fault("tls_key_file", &config.tls_key_file, &error))?;
    let client = builder
        .with_client_auth_cert(own, key)
        .map_err(|error| fault("tls_cert_file", &config.tls_cert_file, &error))?;
    Ok(Some(Arc::new(client)))
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(fault(key, path, &"no certificate is in it")),
        read => read.map_err(|error| fault(key, path, &error)),
    }
}

fn fault(key: &str, path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("cassandra.{key}, {}, cannot be used: {error}; name a readable PEM file", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_there_is_no_tls_and_a_bad_file_is_named() {
        assert!(client(&CassandraConfig::default()).unwrap().is_none());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let config = CassandraConfig { tls_ca_file: path.clone(), ..CassandraConfig::default() };
        let text = client(&config).unwrap_err();
        assert!(text.contains("cassandra.tls_ca_file") && text.contains("ca.pem"), "{text}");
        std::fs::write(&path, "not a certificate").unwrap();
        assert!(client(&config).unwrap_err().contains("no certificate is in it"));
    }
}
