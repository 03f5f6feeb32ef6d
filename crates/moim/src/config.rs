//! The configuration of a node: sections put together, and sources laid over one another.
//! Not here: the sections of gateway and stores (their crates), the flags (`cli`).

mod catalogue;
mod environment;
mod fault;
mod file;
mod hint;
mod layer;
mod nearest;
mod reference;
mod render;
mod sections;
mod value;

use std::{collections::BTreeMap, path::PathBuf};

use ::config::ConfigError;
use moim_bus_redis::RedisConfig;
use moim_gateway::{AuthConfig, DrainConfig, GatewayConfig, LimitsConfig, ListenConfig};
use moim_protocol::{Bilingual, ConfigFault};
use moim_store_cassandra::CassandraConfig;
use moim_store_fjall::EmbeddedConfig;
use serde::{Deserialize, Serialize};

use self::{fault::Fault, layer::Layer, value::Written};

pub(crate) use self::{
    fault::Faults,
    reference::markdown,
    render::render,
    sections::{
        AckConfig, AckSetting, BusConfig, BusKind, LogConfig, LogFormat, MemoryConfig, NodeConfig,
        StoreConfig, StoreKind, WriterConfig,
    },
};

/// Everything a node is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Addresses.
    pub(crate) listen: ListenConfig,
    /// Who may chat.
    pub(crate) auth: AuthConfig,
    /// Bounds.
    pub(crate) limits: LimitsConfig,
    /// How it stops.
    pub(crate) drain: DrainConfig,
    /// What carries messages.
    pub(crate) bus: BusConfig,
    /// The bus of kind `redis`.
    pub(crate) redis: RedisConfig,
    /// What keeps messages.
    pub(crate) store: StoreConfig,
    /// The store of kind `embedded`.
    pub(crate) embedded: EmbeddedConfig,
    /// The store of kind `memory`.
    pub(crate) memory: MemoryConfig,
    /// The store of kind `cassandra`.
    pub(crate) cassandra: CassandraConfig,
    /// What an acknowledgement stands for.
    pub(crate) ack: AckConfig,
    /// Who this node is.
    pub(crate) node: NodeConfig,
    /// Who drains logs.
    pub(crate) writer: WriterConfig,
    /// The log.
    pub(crate) log: LogConfig,
}

/// Where settings come from; each source in this list wins over those before it, all win over the defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// The file, and the flag or variable that named it.
    pub(crate) file: Option<(PathBuf, &'static str)>,
    /// The environment.
    pub(crate) variables: Vec<(String, String)>,
    /// Flags: the flag, its section and key, its value.
    pub(crate) flags: Vec<Flag>,
}

/// A flag that sets a key.
#[derive(Debug, Clone)]
pub(crate) struct Flag {
    /// As it is written: `--listen`.
    pub(crate) name: &'static str,
    /// The section.
    pub(crate) section: &'static str,
    /// The key.
    pub(crate) key: &'static str,
    /// The value.
    pub(crate) value: String,
}

/// A configuration without fault.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// For each key that is not at its default: who set it.
    pub(crate) origins: BTreeMap<String, String>,
}

impl Config {
    /// What the gateway is told.
    pub(crate) fn gateway(&self) -> GatewayConfig {
        GatewayConfig {
            listen: self.listen.clone(),
            auth: self.auth.clone(),
            limits: self.limits.clone(),
            drain: self.drain.clone(),
        }
    }

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = self.gateway().validate();
        faults.extend(self.redis.validate());
        faults.extend(self.embedded.validate());
        faults.extend(self.memory.store().validate());
        faults.extend(self.cassandra.validate());
        let mismatch = self.store.kind.fault_with(self.bus.kind);
        faults.extend(mismatch.map(|problem| ConfigFault::new("store.kind", problem).beside(&["bus.kind"])));
        self.ack.validate(self.store.kind, &mut faults);
        self.node.validate(&mut faults);
        self.writer.validate(self.bus.kind, &mut faults);
        self.log.validate(&mut faults);
        faults
    }
}

/// Lays the sources over the defaults and tells every fault of the whole.
///
/// A key with a fault is left at what the sources below say, so that the other keys can still be judged.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, Faults> {
    let mut faults = Vec::new();
    let file = match &sources.file {
        Some((path, named_by)) => file::read(path, named_by, &mut faults),
        None => Layer::default(),
    };
    let variables = environment::read(&sources.variables, &mut faults);
    let flags = flags(&sources.flags, &mut faults);
    let (config, origins) = match layered([file, variables, flags]) {
        Ok(layered) => layered,
        Err(error) => {
            faults.push(Fault::elsewhere(None, Bilingual::foreign(error.to_string())));
            return Err(Faults(faults));
        }
    };
    for told in config.validate() {
        if faults.iter().all(|fault| fault.key != told.key) {
            faults.push(Fault::of_key(place_of(&told, &origins), &told.key, &told.problem));
        }
    }
    if faults.is_empty() { Ok(Loaded { config, origins }) } else { Err(Faults(faults)) }
}

// A default is only wrong beside something that was set: then that is the place.
fn place_of<'a>(fault: &ConfigFault, origins: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let beside = || fault.beside.iter().find_map(|key| origins.get(*key));
    origins.get(&fault.key).or_else(beside).map(String::as_str)
}

fn flags(flags: &[Flag], faults: &mut Vec<Fault>) -> Layer {
    let mut layer = Layer::default();
    for flag in flags {
        let found =
            catalogue::keys().find(|(section, key)| section.name == flag.section && key.name == flag.key);
        if let Some(found) = found {
            layer.take(found, &Written::in_text(found.1.kind, &flag.value), flag.name, faults);
        }
    }
    layer
}

fn layered(layers: [Layer; 3]) -> Result<(Config, BTreeMap<String, String>), ConfigError> {
    let mut builder = ::config::Config::builder().add_source(::config::Config::try_from(&Config::default())?);
    for layer in layers {
        builder = builder.add_source(layer);
    }
    let built = builder.build()?;
    let mut origins = BTreeMap::new();
    for section in catalogue::SECTIONS {
        for (name, value) in built.get_table(section.name)? {
            if let Some(origin) = value.origin() {
                origins.insert(format!("{}.{name}", section.name), origin.to_string());
            }
        }
    }
    Ok((built.try_deserialize()?, origins))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Config, Faults, Flag, Loaded, Sources, load};

    fn sources(file: &tempfile::NamedTempFile, variables: &[(&str, &str)], listen: Option<&str>) -> Sources {
        let flag =
            |value: &str| Flag { name: "--listen", section: "listen", key: "public", value: value.into() };
        Sources {
            file: Some((file.path().into(), "--config")),
            variables: variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            flags: listen.into_iter().map(flag).collect(),
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn public(loaded: &Loaded) -> u16 {
        loaded.config.listen.public.port()
    }

    #[test]
    fn nothing_said_is_the_defaults() {
        let loaded = load(&Sources::default()).unwrap();
        assert_eq!(loaded.config, Config::default());
        assert!(loaded.origins.is_empty(), "{:?}", loaded.origins);
    }

    #[test]
    fn each_source_wins_over_those_before_it() {
        let file = file("[listen]\npublic = \"127.0.0.1:1\"\n[limits]\nconnections_max = 7\n");
        let variable = [("MOIM__LISTEN__PUBLIC", "127.0.0.1:2")];
        assert_eq!(public(&load(&sources(&file, &[], None)).unwrap()), 1);
        assert_eq!(public(&load(&sources(&file, &variable, None)).unwrap()), 2);
        let all = load(&sources(&file, &variable, Some("127.0.0.1:3"))).unwrap();
        assert_eq!(public(&all), 3);
        assert_eq!(all.config.limits.connections_max, 7);
        assert_eq!(all.config.listen.ops, Config::default().listen.ops);
        let line_4 = format!("{}:4", file.path().display());
        assert_eq!(
            all.origins.into_iter().collect::<Vec<_>>(),
            [
                ("limits.connections_max".to_string(), line_4),
                ("listen.public".to_string(), "--listen".to_string())
            ]
        );
    }

    #[test]
    fn a_list_is_replaced_not_appended() {
        let file = file("[auth]\nallowed_origins = [\"https://a.example\", \"https://b.example\"]\n");
        let loaded =
            load(&sources(&file, &[("MOIM__AUTH__ALLOWED_ORIGINS", "https://c.example")], None)).unwrap();
        assert_eq!(loaded.config.auth.allowed_origins, ["https://c.example"]);
    }

    #[test]
    fn faults_of_all_sources_and_of_the_whole_are_told_at_once() {
        let file = file("[limits]\nconnection_max = 1\nmessages_per_second = 0\n");
        let variables = [("MOIM__LIMITS__OUTBOX_BYTES_MAX", "big"), ("MOIM__LOG__LEVEL", "loud")];
        let Faults(faults) = load(&sources(&file, &variables, Some("0.0.0.0:1"))).unwrap_err();
        let path = file.path().display().to_string();
        let told: Vec<_> =
            faults.into_iter().map(|fault| (fault.place.unwrap_or_default(), fault.key)).collect();
        let told: Vec<_> =
            told.iter().map(|(place, key)| (place.replace(&path, "F"), key.as_str())).collect();
        let expected = [
            ("F:2", ""),
            ("MOIM__LIMITS__OUTBOX_BYTES_MAX", "limits.outbox_bytes_max"),
            ("--listen", "auth.mode"),
            ("F:3", "limits.messages_per_second"),
            ("MOIM__LOG__LEVEL", "log.level"),
        ];
        assert_eq!(told, expected.map(|(place, key)| (place.to_string(), key)));
    }

    #[test]
    fn faults_of_the_stores_have_their_section() {
        let variables = [("MOIM__EMBEDDED__CACHE_BYTES", "0"), ("MOIM__MEMORY__ROWS_PER_ROOM_MAX", "0")];
        let Faults(faults) = load(&sources(&file(""), &variables, None)).unwrap_err();
        let told: Vec<_> =
            faults.iter().map(|fault| (fault.place.as_deref().unwrap(), fault.key.as_str())).collect();
        let expected = ["embedded.cache_bytes", "memory.rows_per_room_max"];
        assert_eq!(told, [(variables[0].0, expected[0]), (variables[1].0, expected[1])]);
        for (fault, key) in faults.iter().zip(expected) {
            assert!(fault.text.english.starts_with(&format!("{key} is 0")), "{fault:?}");
        }
    }

    #[test]
    fn a_key_has_one_fault() {
        let variables = [("MOIM__AUTH__MODE", "anonymos")];
        let Faults(faults) = load(&sources(&file(""), &variables, Some("0.0.0.0:1"))).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}
