//! Which Redis a partition is on: always the same of several, or wherever the cluster says.
//! Not here: connections (`link`).

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use redis::{
    Client, IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates, TlsMode, Value,
    sentinel::{SentinelClientBuilder, SentinelServerType},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::{
    config::{RedisConfig, Topology},
    keys::Keys,
    link::{Finder, Link},
};

/// Which link each partition is on. Cheap to read.
pub(crate) struct Map {
    /// A std lock: never held across an await; replaced as a whole when a cluster has moved something.
    places: RwLock<Places>,
    clients: Clients,
    keys: Keys,
    is_cluster: bool,
}

#[derive(Clone, Default)]
struct Places {
    links: Vec<Arc<Link>>,
    /// By partition.
    of: Vec<usize>,
}

impl Places {
    /// Takes out links on which nothing is any more: after a failover, or when all slots of a master have been moved.
    fn drop_unused(&mut self) -> Vec<Arc<Link>> {
        let (mut kept, mut gone, mut new_place) = (Vec::new(), Vec::new(), Vec::new());
        for (place, link) in std::mem::take(&mut self.links).into_iter().enumerate() {
            new_place.push(kept.len());
            if self.of.contains(&place) { kept.push(link) } else { gone.push(link) }
        }
        for place in &mut self.of {
            *place = new_place.get(*place).copied().unwrap_or_default();
        }
        self.links = kept;
        gone
    }
}

/// What a look at the cluster has changed.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) made: Vec<Arc<Link>>,
    /// Links on which no partition is any more: nobody calls them, so nobody would hear them either.
    pub(crate) gone: Vec<Arc<Link>>,
    pub(crate) moved: Vec<u32>,
}

/// Makes clients with the configured user, password and certificates.
struct Clients {
    username: Option<String>,
    password: Option<String>,
    root_cert: Option<Vec<u8>>,
    urls: Vec<String>,
}

/// Why the servers cannot be named.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// An address is none, or its certificates are not.
    #[error("redis.urls: {0}")]
    Address(#[from] RedisError),
    /// The file of certificates cannot be read.
    #[error("redis.tls_ca = {0:?} cannot be read: {1}")]
    Certificates(String, #[source] std::io::Error),
    /// It was read and holds none.
    #[error("redis.tls_ca = {0:?} must hold certificates in PEM: {1}")]
    NoCertificates(String, String),
}

impl Clients {
    fn new(config: &RedisConfig) -> Result<Self, MapError> {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let root_cert = some(&config.tls_ca).map(certificates).transpose()?;
        if config.urls.iter().any(|url| url.starts_with("rediss://")) {
            // The library takes whichever there is, and panics where there is none. Somebody may have chosen already.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        }
        let (username, password) = (some(&config.username), some(&config.password));
        Ok(Self { username, password, root_cert, urls: config.urls.clone() })
    }

    fn settings(&self, mut settings: RedisConnectionInfo) -> RedisConnectionInfo {
        if let (None, Some(username)) = (settings.username(), &self.username) {
            settings = settings.set_username(username);
        }
        if let (None, Some(password)) = (settings.password(), &self.password) {
            settings = settings.set_password(password);
        }
        // One command less that a user of few rights must be allowed.
        settings.set_protocol(redis::ProtocolVersion::RESP3).set_skip_set_lib_name()
    }

    fn open(&self, url: &str) -> Result<Client, RedisError> {
        let info = url.into_connection_info()?;
        let settings = self.settings(info.redis_settings().clone());
        let info = info.set_redis_settings(settings);
        match self.certificates() {
            Some(certificates) if url.starts_with("rediss://") => Client::build_with_tls(info, certificates),
            _ => Client::open(info),
        }
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let certificates =
            |root_cert: &Vec<u8>| TlsCertificates { client_tls: None, root_cert: Some(root_cert.clone()) };
        self.root_cert.as_ref().map(certificates)
    }

    /// Another server of the cluster, reached like the ones that are named.
    fn neighbour(&self, address: &str) -> Result<Client, RedisError> {
        let url = self.urls.first().map_or("redis://", String::as_str);
        let scheme = if url.starts_with("rediss://") { "rediss" } else { "redis" };
        let named = url.into_connection_info()?;
        let client = self.open(&format!("{scheme}://{address}"))?;
        let mut settings = client.get_connection_info().redis_settings().clone();
        if let Some(username) = named.redis_settings().username() {
            settings = settings.set_username(username);
        }
        if let Some(password) = named.redis_settings().password() {
            settings = settings.set_password(password);
        }
        let info = client.get_connection_info().clone().set_redis_settings(settings);
        Client::open(info)
    }
}

impl Map {
    pub(crate) fn new(config: &RedisConfig, keys: Keys) -> Result<Self, MapError> {
        let clients = Clients::new(config)?;
        let links = match config.topology {
            Topology::Single | Topology::Several => {
                let link = |url: &String| {
                    let client = clients.open(url)?;
                    Ok(Link::new(client.get_connection_info().addr().to_string(), Finder::Fixed(client)))
                };
                config.urls.iter().map(link).collect::<Result<Vec<_>, RedisError>>()?
            }
            Topology::Sentinel => vec![sentinel(&clients, config)?],
            // Made when the cluster has said who its masters are.
            Topology::Cluster => Vec::new(),
        };
        let of = (0..config.partitions as usize).map(|partition| partition % links.len().max(1)).collect();
        let is_cluster = config.topology == Topology::Cluster;
        let places = RwLock::new(Places { links, of });
        Ok(Self { places, clients, keys, is_cluster })
    }

    fn places(&self) -> Places {
        self.places.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.places().links
    }

    /// `None`: the cluster has not said yet.
    pub(crate) fn link_of(&self, partition: u32) -> Option<Arc<Link>> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let place = *places.of.get(partition as usize)?;
        places.links.get(place).cloned()
    }

    /// Whether any partition is on it.
    pub(crate) fn is_used(&self, link: &Arc<Link>) -> bool {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.of.iter().any(|place| places.links.get(*place).is_some_and(|there| Arc::ptr_eq(there, link)))
    }

    /// The partitions of a link, in rising order.
    pub(crate) fn partitions_of(&self, link: &Arc<Link>) -> Vec<u32> {
        let places = self.places();
        let is_here = |place: usize| places.links.get(place).is_some_and(|there| Arc::ptr_eq(there, link));
        let of = places.of.iter().enumerate();
        of.filter(|(_, place)| is_here(**place))
            .filter_map(|(partition, _)| u32::try_from(partition).ok())
            .collect()
    }

    /// Asks the cluster where its slots are.
    ///
    /// # Errors
    /// When none of its servers answers.
    ///
    /// # Cancel safety
    /// Safe: nothing changes before the end.
    pub(crate) async fn refresh(&self) -> Result<Change, RedisError> {
        let slots = self.ask_for_slots().await?;
        let mut places = self.places();
        let by_name: HashMap<_, _> =
            places.links.iter().enumerate().map(|(place, link)| (link.name.clone(), place)).collect();
        let (mut by_name, mut made, mut moved) = (by_name, Vec::new(), Vec::new());
        for partition in 0..places.of.len() {
            let tag = self.keys.tag(u32::try_from(partition).unwrap_or_default());
            let slot = crc16(tag.as_bytes()) % 16384;
            let owner = slots.iter().find(|(from, to, _)| (*from..=*to).contains(&slot));
            let Some((_, _, address)) = owner else { continue };
            let place = match by_name.get(address.as_str()) {
                Some(place) => *place,
                None => {
                    let link = Link::new(address.as_str(), Finder::Fixed(self.clients.neighbour(address)?));
                    places.links.push(link.clone());
                    by_name.insert(link.name.clone(), places.links.len() - 1);
                    made.push(link);
                    places.links.len() - 1
                }
            };
            let was = std::mem::replace(&mut places.of[partition], place);
            // At first all of them point at nothing.
            if was != place {
                moved.push(u32::try_from(partition).unwrap_or_default());
            }
        }
        let gone = places.drop_unused();
        *self.places.write().unwrap_or_else(PoisonError::into_inner) = places;
        Ok(Change { made, gone, moved })
    }

    async fn ask_for_slots(&self) -> Result<Vec<(u16, u16, String)>, RedisError> {
        let mut failed = RedisError::from((redis::ErrorKind::Io, "no server of the cluster answers"));
        for url in &self.clients.urls {
            let asked = async {
                let client = self.clients.open(url)?;
                let mut connection = client.get_multiplexed_async_connection().await?;
                redis::cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut connection).await
            };
            match asked.await {
                Ok(slots) => return Ok(read_slots(&slots, url)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

fn certificates(path: String) -> Result<Vec<u8>, MapError> {
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(error) => return Err(MapError::Certificates(path, error)),
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.map_err(|error| error.to_string());
        let added = added.and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
        if let Err(why) = added {
            return Err(MapError::NoCertificates(path, why));
        }
    }
    if roots.is_empty() {
        return Err(MapError::NoCertificates(path, "there is none in it".into()));
    }
    Ok(pem)
}

/// Ranges and their masters, from an array of `[from, to, [host, port, ...], ...]`.
fn read_slots(slots: &Value, asked: &str) -> Vec<(u16, u16, String)> {
    let Value::Array(ranges) = slots else { return Vec::new() };
    let range = |range: &Value| {
        let Value::Array(parts) = range else { return None };
        let (Value::Int(from), Value::Int(to), Value::Array(master)) =
            (parts.first()?, parts.get(1)?, parts.get(2)?)
        else {
            return None;
        };
        let host: String = redis::from_redis_value(master.first()?.clone()).ok()?;
        // A cluster that does not know its own name says nothing: it is where it was asked.
        let host = if host.is_empty() { host_of(asked) } else { host };
        let Value::Int(port) = master.get(1)? else { return None };
        Some((u16::try_from(*from).ok()?, u16::try_from(*to).ok()?, format!("{host}:{port}")))
    };
    ranges.iter().filter_map(range).collect()
}

fn host_of(url: &str) -> String {
    let address = url.into_connection_info().map(|info| info.addr().to_string()).unwrap_or_default();
    address.rsplit_once(':').map_or_else(|| address.clone(), |(host, _)| host.to_owned())
}

fn sentinel(clients: &Clients, config: &RedisConfig) -> Result<Arc<Link>, RedisError> {
    let infos = config.urls.iter().map(|url| url.as_str().into_connection_info());
    let infos = infos.collect::<Result<Vec<_>, _>>()?;
    let addresses = infos.iter().map(|info| info.addr().clone());
    let service = SentinelServerType::Master;
    let mut builder = SentinelClientBuilder::new(addresses, &config.sentinel_master, service)?
        .set_client_to_redis_protocol(redis::ProtocolVersion::RESP3);
    // Sentinels have users of their own: those of the URLs. The configured one is the servers'.
    let of_sentinels = infos.first().map(redis::ConnectionInfo::redis_settings);
    if let Some(username) = of_sentinels.and_then(RedisConnectionInfo::username) {
        builder = builder.set_client_to_sentinel_username(username);
    }
    if let Some(password) = of_sentinels.and_then(RedisConnectionInfo::password) {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let Some(username) = &clients.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = &clients.password {
        builder = builder.set_client_to_redis_password(password);
    }
    // Who speaks TLS to the sentinels means it for the servers, too.
    if config.urls.iter().any(|url| url.starts_with("rediss://")) {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        if let Some(certificates) = clients.certificates() {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
    }
    let client = builder.build()?;
    let name = format!("the master {:?} of the sentinels", config.sentinel_master);
    Ok(Link::new(name, Finder::Sentinel(tokio::sync::Mutex::new(client))))
}

/// CRC-16/XMODEM, by which a cluster finds the slot of a tag (Redis cluster specification, appendix A).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_the_clusters() {
        // From the specification.
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    #[test]
    fn several_share_the_partitions() {
        let config = RedisConfig {
            urls: vec!["redis://a:1".into(), "redis://b:2".into(), "redis://c:3".into()],
            topology: Topology::Several,
            partitions: 8,
            ..RedisConfig::default()
        };
        let map = Map::new(&config, Keys::new("moim", 8)).unwrap();
        let links = map.links();
        assert_eq!(map.partitions_of(&links[0]), [0, 3, 6]);
        assert_eq!(map.partitions_of(&links[2]), [2, 5]);
        assert_eq!(map.link_of(4).unwrap().name, links[1].name);
    }

    #[test]
    fn links_on_which_nothing_is_go() {
        let config = RedisConfig {
            urls: vec!["redis://a:1".into(), "redis://b:2".into(), "redis://c:3".into()],
            topology: Topology::Several,
            partitions: 4,
            ..RedisConfig::default()
        };
        let mut places = Map::new(&config, Keys::new("moim", 4)).unwrap().places();
        let names = |links: &[Arc<Link>]| links.iter().map(|link| link.name.to_string()).collect::<Vec<_>>();
        assert!(places.drop_unused().is_empty());
        places.of = vec![0, 2, 2, 0];
        assert_eq!(names(&places.drop_unused()), ["b:2"]);
        assert_eq!(
            (names(&places.links), &places.of[..]),
            (vec!["a:1".into(), "c:3".into()], &[0, 1, 1, 0][..])
        );
        places.of = vec![1; 4];
        assert_eq!(names(&places.drop_unused()), ["a:1"]);
        assert_eq!((names(&places.links), &places.of[..]), (vec!["c:3".into()], &[0; 4][..]));
    }

    #[test]
    fn slots_are_read() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let node = |host, port| Value::Array(vec![text(host), Value::Int(port), text("id")]);
        let range =
            |from, to, master| Value::Array(vec![Value::Int(from), Value::Int(to), master, node("x", 1)]);
        let slots = Value::Array(vec![range(0, 5, node("a", 7)), range(6, 9, node("", 8))]);
        let want = vec![(0, 5, "a:7".to_owned()), (6, 9, "127.0.0.1:8".to_owned())];
        assert_eq!(read_slots(&slots, "redis://127.0.0.1:7000"), want);
    }
}
