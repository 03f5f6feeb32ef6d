//! TLS to the cluster: through a proxy that ends it, before a real node.
//! Not here: files that cannot be read (`src/tls.rs`).

mod cluster;

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use cluster::{config, contact_points, keyspace, room, row, seqs, start};
use moim_store::{MessageStore, PageRange};
use moim_store_cassandra::CassandraConfig;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate for this address, and its key.
fn certificate(authority: &Authority, address: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![address.to_owned()]).expect("parameters");
    (params.signed_by(&key, authority).expect("a certificate"), key)
}

/// Takes TLS from whoever has a certificate of the authority, and passes it on without.
async fn serve(authority: &Authority, address: &str, tasks: &mut JoinSet<()>) -> SocketAddr {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("an authority");
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let (certificate, key) = certificate(authority, address);
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients.build().expect("a verifier"))
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let local = listener.local_addr().expect("its address");
    let node = contact_points().remove(0);
    tasks.spawn(async move {
        let mut links = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, node) = (acceptor.clone(), node.clone());
            links.spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut node = TcpStream::connect(node).await.expect("the node");
                // However it ends, it has ended.
                tokio::io::copy_bidirectional(&mut client, &mut node).await.ok();
            });
        }
    });
    local
}

/// What the store says of its first tries.
async fn trouble(config: CassandraConfig) -> String {
    let store = start(config);
    let mut said = String::new();
    for _ in 0..100 {
        said = store.head(&room("tls")).await.expect_err("it must not connect").to_string();
        if !said.contains("not tried") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    said
}

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("write");
    path
}

#[tokio::test]
async fn a_cluster_with_tls_is_used_only_when_both_sides_are_who_they_should_be() {
    let (folder, ours, other) = (tempfile::tempdir().expect("a folder"), authority(), authority());
    let folder = folder.path();
    let mut tasks = JoinSet::new();
    let address = serve(&ours, "127.0.0.1", &mut tasks).await;
    let (own, own_key) = certificate(&ours, "moim.example");
    let good = CassandraConfig {
        contact_points: vec![address.to_string()],
        tls_ca_file: write(folder, "ca.pem", &ours.pem()),
        tls_cert_file: write(folder, "own.pem", &own.pem()),
        tls_key_file: write(folder, "own.key", &own_key.serialize_pem()),
        connect_timeout_millis: 2_000,
        ..config(keyspace().await)
    };
    assert_eq!(good.validate(), Vec::new());
    let store = start(good.clone());
    store.ready().await;
    let room = room("tls");
    store.append(vec![row(&room, 1)]).await.expect("append");
    assert_eq!(seqs(&store, &room, PageRange::Newest, 10).await, [1]);

    let unknown = CassandraConfig { tls_ca_file: write(folder, "other.pem", &other.pem()), ..good.clone() };
    let said = trouble(unknown).await;
    assert!(said.contains("invalid peer certificate"), "{said}");
    let misnamed = serve(&ours, "127.0.0.9", &mut tasks).await;
    let misnamed = CassandraConfig { contact_points: vec![misnamed.to_string()], ..good.clone() };
    let said = trouble(misnamed).await;
    assert!(said.contains("invalid peer certificate: certificate not valid for name"), "{said}");
    let anonymous = CassandraConfig { tls_cert_file: "".into(), tls_key_file: "".into(), ..good.clone() };
    trouble(anonymous).await;
    let in_the_clear =
        CassandraConfig { tls_ca_file: "".into(), tls_cert_file: "".into(), tls_key_file: "".into(), ..good };
    trouble(in_the_clear).await;
}
