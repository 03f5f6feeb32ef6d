//! `rediss://` with an authority of one's own: to a server, and to sentinels and their server.
//! Not here: what the files of other vendors must be.

use std::{cell::Cell, path::Path};

use moim_bus::{
    Bus, BusError, RelaySink,
    conformance::{Rows, room},
};
use moim_bus_redis::{RedisBus, RedisBusConfig, RedisConfig, Topology};
use moim_telemetry::Registry;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{
    own::{OwnRedis, free_port, until},
    peer::{Peer, nth_config},
    sentinel::MASTER,
};

/// Files of an authority and of a server at 127.0.0.1 that it signed.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        let files = Self { folder };
        for (name, text) in [
            ("ca.pem", authority.pem()),
            ("server.pem", certificate.pem()),
            ("server.key", key.serialize_pem()),
        ] {
            std::fs::write(files.path(name), text).expect("a file");
        }
        files
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn settings(&self, tls_port: u16) -> [(&str, String); 5] {
        [
            ("tls-port", tls_port.to_string()),
            ("tls-cert-file", self.path("server.pem")),
            ("tls-key-file", self.path("server.key")),
            ("tls-ca-cert-file", self.path("ca.pem")),
            ("tls-auth-clients", "no".into()),
        ]
    }

    /// A Redis, and where it speaks TLS.
    async fn redis(&self) -> (OwnRedis, u16) {
        let tls_port = Cell::new(0);
        let redis = OwnRedis::run(|port| {
            tls_port.set(free_port());
            let mut all = ["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"]
                .map(str::to_owned)
                .to_vec();
            for (name, value) in self.settings(tls_port.get()) {
                all.extend([format!("--{name}"), value]);
            }
            all
        })
        .await;
        (redis, tls_port.get())
    }

    /// A sentinel that speaks TLS with everybody but this test.
    async fn sentinel(&self, master: u16) -> (OwnRedis, u16) {
        let tls_port = Cell::new(0);
        let sentinel = OwnRedis::run(|port| {
            tls_port.set(free_port());
            let file = self.folder.path().join(format!("{port}.conf"));
            let mut text = format!("port {port}\nbind 127.0.0.1\ntls-replication yes\n");
            for (name, value) in self.settings(tls_port.get()) {
                text.push_str(&format!("{name} {value}\n"));
            }
            text.push_str(&format!("sentinel monitor {MASTER} 127.0.0.1 {master} 1\n"));
            std::fs::write(&file, text).expect("its file");
            vec![file.display().to_string(), "--sentinel".into()]
        })
        .await;
        (sentinel, tls_port.get())
    }
}

fn config(tls_port: u16, topology: Topology, tls_ca: String) -> RedisBusConfig {
    let config = nth_config(&[format!("rediss://127.0.0.1:{tls_port}")], topology, "tls", 0);
    let redis = RedisConfig { tls_ca, sentinel_master: MASTER.into(), ..config.redis };
    RedisBusConfig { redis, ..config }
}

async fn works(config: RedisBusConfig) {
    let (rows, room) = (Rows::new(), room("tls"));
    let peer = Peer::start(&rows, config).await;
    peer.join(&room).await;
    let receipt = peer.say(&room, "hello").await;
    until("it is relayed", async || {
        peer.seen(&room).await.last().is_some_and(|seen| seen.seq == receipt.position.seq)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_of_ones_own_is_enough() {
    let files = Files::new();
    let (_redis, port) = files.redis().await;
    works(config(port, Topology::Single, files.path("ca.pem"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_and_their_server_speak_tls_alike() {
    let files = Files::new();
    let (_redis, master) = files.redis().await;
    let (_sentinel, port) = files.sentinel(master).await;
    works(config(port, Topology::Sentinel, files.path("ca.pem"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_authority_is_an_error_that_says_so() {
    let (files, others, room) = (Files::new(), Files::new(), room("tls"));
    let (_redis, port) = files.redis().await;
    let peer = Peer::begin(&Rows::new(), config(port, Topology::Single, others.path("ca.pem")));
    let Err(BusError::Unavailable(why)) = peer.bus.ring(&room, 1).await else { panic!("it was read") };
    assert!(why.contains(&format!("127.0.0.1:{port}")) && why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_file_that_is_none_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = |path: &Path| {
        let registry = Registry::new("0").expect("a registry");
        let config = config(1, Topology::Single, path.display().to_string());
        let bus = RedisBus::new(config, RelaySink::new(1).0, Rows::new(), &registry);
        bus.map(drop).expect_err("it was taken").to_string()
    };
    let path = folder.path().join("ca.pem");
    let absent = told(&path);
    assert!(absent.contains("redis.tls_ca") && absent.contains("ca.pem"), "{absent}");
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n").expect("a file");
    let broken = told(&path);
    assert!(broken.contains("redis.tls_ca") && broken.contains("ca.pem"), "{broken}");
    std::fs::write(&path, "").expect("a file");
    let empty = told(&path);
    assert!(empty.contains("redis.tls_ca") && empty.contains("ca.pem"), "{empty}");
}
